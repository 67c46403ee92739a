"""Columns beside the memory: those that only count are no leaks, and none goes without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

import leaklab as ll
from leaklab.present.text import run_text
from leaklab.results.run import Run

ROW_COUNT = 120


def read(folder: Path, columns: dict[str, list[float]], **options: object) -> Run:
    columns = {
        "timestamp": [60.0 * n for n in range(ROW_COUNT)],
        "rss_mb": [100.0 + n for n in range(ROW_COUNT)],
        **columns,
    }
    lines = [
        ",".join(columns),
        *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True)),
    ]
    path = folder / "figures.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return ll.read(path, **options)  # type: ignore[arg-type]


def names(run: Run) -> set[str]:
    return {entry.name for entry in run.verdict().resources}


def said(run: Run) -> str:
    return "\n".join(event["text"] for event in run.meta["events"])


@pytest.mark.parametrize(
    "column", ["total_requests", "bytes_sent", "gc_collections", "uptime", "iteration", "requests"]
)
def test_what_only_counts_is_no_leak(tmp_path: Path, column: str) -> None:
    run = read(tmp_path, {column: [7.0 * n for n in range(ROW_COUNT)]})
    assert names(run) == {"rss_bytes"}
    assert f"counters only grow: {column}" in said(run)


def test_a_counter_of_a_process_that_began_again_is_one(tmp_path: Path) -> None:
    life = [n // 50 for n in range(ROW_COUNT)]
    counts = [7.0 * (n % 50) for n in range(ROW_COUNT)]
    run = read(tmp_path, {"pid": [float(100 + n) for n in life], "jobs_done": counts})
    assert names(run) == {"rss_bytes"}


@pytest.mark.parametrize("column", ["pending_requests", "open_tasks_held", "sessions_count"])
def test_what_piles_up_is_listed(tmp_path: Path, column: str) -> None:
    run = read(tmp_path, {column: [7.0 * n for n in range(ROW_COUNT)]}, values=())
    assert len(names(run)) == 2


def test_what_falls_is_listed_whatever_its_name(tmp_path: Path) -> None:
    run = read(tmp_path, {"requests": [50.0 + n % 7 - 3 * (n % 2) for n in range(ROW_COUNT)]})
    assert "gauge:requests" in names(run)


def test_the_count_of_work_is_named_for_rates_by_it(tmp_path: Path) -> None:
    counts = [7.0 * n for n in range(ROW_COUNT)]
    run = read(tmp_path, {"uptime": counts, "total_requests": counts})
    assert "a count of requests beside it tells (--value total_requests=mark)" in run_text(run)
    by_work = read(tmp_path, {"total_requests": counts}, values=["total_requests=mark"])
    entry = by_work.verdict().resource("rss_bytes")
    assert entry is not None
    assert entry.unit == "iteration"
    without = read(tmp_path, {"uptime": counts})
    assert "(--value COL=mark)" in run_text(without)


def test_seconds_of_the_processor_are_not_percent_of_it(tmp_path: Path) -> None:
    steps = [float(n % 10) for n in range(ROW_COUNT)]
    run = read(tmp_path, {"cpu_user_seconds": steps, "cpu_system_seconds": steps, "%CPU": steps})
    assert names(run) == {
        "rss_bytes", "gauge:cpu_user_seconds", "gauge:cpu_system_seconds", "gauge:cpu_percent"
    }  # fmt: skip


def test_two_columns_of_one_name_are_two_figures(tmp_path: Path) -> None:
    steps = [float(n % 10) for n in range(ROW_COUNT)]
    columns = {"cpu": steps, "CPU %": steps, "queue len": steps, "queue_len": steps}
    run = read(tmp_path, {**columns, "threads": steps, "worker threads": steps})
    assert {"gauge:cpu_percent", "gauge:CPU_percent", "gauge:queue_len", "gauge:queue_len_2"} <= (
        names(run)
    )
    assert {"thread_count", "gauge:worker_threads"} <= names(run)


def test_columns_beyond_those_listed_are_named(tmp_path: Path) -> None:
    run = read(tmp_path, {f"level{n}": [float(n)] * ROW_COUNT for n in range(23)})
    assert "left out, as 20 figures are listed already: level20, level21, level22" in said(run)


def restarted(name: str, pods: int = 1) -> str:
    """Memory of 200 looks in lives of 50, beside what counts anew in each; of pods by turns."""
    lines = [f"time,pod,{name},rss_mib"]
    for n in range(200):
        lines += [
            f"{60 * n},web-{pod},{(n + 7 * pod) % 50 * 30},{100 + (n + 7 * pod) % 50}"
            for pod in range(pods)
        ]
    return "\n".join(lines)


@pytest.mark.parametrize("name", ["requests_total", "uptime_seconds"])
@pytest.mark.parametrize("pods", [1, 2])
def test_a_counter_that_falls_tells_a_restart(tmp_path: Path, name: str, pods: int) -> None:
    path = tmp_path / "figures.csv"
    path.write_text(restarted(name, pods))
    run = ll.read(path)
    assert f"restarts by {name}" in run.meta["events"][0]["text"]
    for entry in run.verdict().resources:
        assert entry.verdict == "leak"
        assert entry.rate == pytest.approx((1 << 20) / 60, rel=0.01)


def test_marks_that_start_again_are_lives(tmp_path: Path) -> None:
    path = tmp_path / "figures.csv"
    path.write_text(restarted("done"))
    entry = ll.read(path, values=["done=mark"]).verdict().resource("rss_bytes")
    assert entry is not None
    assert entry.verdict == "leak"
    assert entry.rate == pytest.approx((1 << 20) / 30, rel=0.01)


def test_a_total_of_memory_that_falls_is_no_restart(tmp_path: Path) -> None:
    path = tmp_path / "figures.csv"
    path.write_text(restarted("heap_total"))
    assert "restarts" not in ll.read(path).meta["events"][0]["text"]
