"""Several processes in one series: told apart, or refused with what would; none is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import leaklab as ll
from leaklab.cli import main
from leaklab.errors import UsageError
from leaklab.importers.thinned import thinned

MIB = 1 << 20
HOURS = 96
GROWING = [200 + 3 * hour for hour in range(HOURS)]
FLAT = [300] * HOURS


def table(folder: Path, first: str, second: str, heading: str) -> Path:
    """Two processes by turns, an hour apart; ``first`` and ``second`` are put before the figure."""
    rows = [heading]
    for hour, (growing, flat) in enumerate(zip(GROWING, FLAT, strict=True)):
        time = 1764547200 + 3600 * hour
        rows += [f"{time}{first},{growing * MIB}", f"{time}{second},{flat * MIB}"]
    path = folder / "figures.csv"
    path.write_text("\n".join(rows))
    return path


def log(folder: Path) -> Path:
    rows = []
    for hour, (growing, flat) in enumerate(zip(GROWING, FLAT, strict=True)):
        time = f"2026-11-{1 + hour // 24:02} {hour % 24:02}:00:00"
        rows += [f"{time} worker-1 rss={growing}.0MiB", f"{time} worker-2 rss={flat}.0MiB"]
    path = folder / "app.log"
    path.write_text("\n".join(rows))
    return path


def found(run: ll.Run) -> dict[str, str]:
    return {entry.role: entry.verdict for entry in run.verdict().resources}


def test_one_text_that_tells_them_apart_is_the_group(tmp_path: Path) -> None:
    run = ll.read(table(tmp_path, ",alpha", ",beta", "time,shard,rss_bytes"))
    assert found(run) == {"alpha": "leak", "beta": "bounded"}
    assert "one process for each shard (2)" in run.meta["events"][0]["text"]


@pytest.mark.parametrize(
    ("first", "second", "heading", "said"),
    [
        (",0", ",1", "time,shard,rss_bytes", "--group shard tells them apart"),
        ("", "", "time,rss_bytes", "add one with the pid"),
        (",a,x", ",b,y", "time,zone,shard,rss_bytes", "of zone, shard"),
    ],
)
def test_what_may_tell_them_apart_is_named(
    tmp_path: Path, first: str, second: str, heading: str, said: str
) -> None:
    with pytest.raises(UsageError, match="2 figures at each time") as raised:
        ll.read(table(tmp_path, first, second, heading))
    assert said in str(raised.value)


@pytest.mark.parametrize("name", ["group", "pid", "worker", "pod", "instance"])
def test_a_group_of_the_expression_is_the_group(tmp_path: Path, name: str) -> None:
    run = ll.read(log(tmp_path), line=rf"worker-(?P<{name}>\d) rss=(?P<rss>[\d.]+)MiB")
    assert found(run) == {"1": "leak", "2": "bounded"}


def test_lines_of_several_processes_ask_for_a_group(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"worker=\(\?P<worker>"):
        ll.read(log(tmp_path), line=r"rss=(?P<rss>[\d.]+)MiB")


def test_lines_without_a_time_are_counted_by_group(tmp_path: Path) -> None:
    path = log(tmp_path)
    path.write_text("\n".join(line[20:] for line in path.read_text().splitlines()))
    run = ll.read(path, line=r"(?P<group>worker-\d) rss=(?P<rss>[\d.]+)MiB")
    entry = run.verdict().resource("rss_bytes", "worker-1")
    assert entry is not None
    assert entry.rate == pytest.approx(3 * MIB)


def test_figures_of_several_processes_are_no_series() -> None:
    x = np.repeat(np.arange(HOURS) * 3600.0, 2)
    y = np.ravel(np.column_stack([GROWING, FLAT])) * float(MIB)
    with pytest.raises(UsageError, match="2 figures at each x"):
        ll.judge_series(x, y)
    with pytest.raises(UsageError, match="2 figures of rss_bytes at each x"):
        ll.from_series({"rss_bytes": (x, y)})


def wall_clock(count: int, *, put_back: int = 60, places: int = 1) -> list[pd.Timestamp]:
    """Minutes of a night in which a clock is put back at 3:00; so many rows of each."""
    first = pd.Timestamp("2025-10-26 01:00")
    minutes = [number - put_back * (number >= 120) for number in range(count)]
    return [first + pd.Timedelta(minutes=minute) for minute in minutes for _ in range(places)]


@pytest.mark.parametrize("put_back", [60, 30])
@pytest.mark.parametrize("processes", [1, 2])
def test_an_hour_that_comes_twice_is_one_of_a_clock_put_back(
    tmp_path: Path, processes: int, put_back: int
) -> None:
    times = wall_clock(340, put_back=put_back, places=processes)
    rows = [
        f"{time},{100 + number // processes},pod-{number % processes}"
        for number, time in enumerate(times)
    ]
    path = tmp_path / "night.csv"
    path.write_text("\n".join(["time,rss_mib,pod", *rows]) + "\n")
    run = ll.read(path)
    for entry in run.verdict().resources:
        assert entry.verdict == "leak"
        assert entry.rate == pytest.approx(MIB / 60, rel=0.01)
    text = run.meta["events"][0]["text"]
    assert f"the clock was put back by {put_back} minutes on the way" in text


def test_a_series_over_an_hour_that_comes_twice_is_told_of() -> None:
    series = pd.Series([(100.0 + number) * MIB for number in range(340)], wall_clock(340))
    run = ll.from_series({"rss_bytes": series})
    entry = run.verdict().resource("rss_bytes")
    assert entry is not None
    assert entry.rate == pytest.approx(MIB / 60, rel=0.01)
    assert "the clock was put back by 60 minutes" in run.meta["events"][1]["text"]


def test_how_many_times_have_several_figures_is_said(tmp_path: Path) -> None:
    rows = [f"{1764547200 + 60 * number},{100 + number}" for number in range(200)]
    rows += [f"{1764547200 + 60 * number},{900 + number}" for number in range(50, 110)]
    path = tmp_path / "figures.csv"
    path.write_text("\n".join(["time,rss_mib", *sorted(rows)]) + "\n")
    with pytest.raises(UsageError, match="2 figures at 60 of 200 times: "):
        ll.read(path)


@pytest.mark.parametrize("kind", ["a walk", "noise", "rows written twice"])
def test_several_looks_a_second_are_one_process(kind: str) -> None:
    rng = np.random.default_rng(1)
    y: Any = rng.normal(0, MIB, 400)
    y = 200 * MIB + (np.cumsum(y) / 10 if kind == "a walk" else y)
    if kind == "rows written twice":
        y = np.repeat(y[::2], 2)
    x = np.repeat(np.arange(200.0), 2)
    assert ll.judge_series(x, y).verdict == "bounded"


@pytest.mark.parametrize("group", ["shard", None])
def test_a_long_table_loses_no_process(group: str | None) -> None:
    time = np.repeat(np.arange(200), 2)
    frame = pd.DataFrame({"time": time, "shard": np.tile([0, 1], 200), "rss_bytes": 1})
    kept, step = thinned([frame[:200], frame[200:]], None, 100, group=group)
    assert step == 4
    assert kept["shard"].value_counts().tolist() == [50, 50]


def printed(folder: Path, kind: str, *, pid: bool = True) -> Path:
    """What a loop prints of two workers of one command, of which one grows."""
    heading = {
        "ps": "  PID   RSS COMMAND",
        "top": "  PID USER PR NI VIRT RES SHR S %CPU %MEM TIME+ COMMAND",
        "pidstat": "# Time UID PID minflt/s majflt/s VSZ RSS %MEM Command",
    }[kind]
    lines = []
    for hour, (growing, flat) in enumerate(zip(GROWING, FLAT, strict=True)):
        time = f"2026-11-{1 + hour // 24:02} {hour % 24:02}:00:00"
        epoch = 1764547200 + 3600 * hour
        lines += [heading] if kind == "pidstat" else [time, heading]
        for number, mib in ((101, growing), (102, flat)):
            row = {
                "ps": f"{number} {mib * 1024} gunicorn",
                "top": f"{number} app 20 0 9999 {mib * 1024} 1 S 0.0 1.0 0:01 gunicorn",
                "pidstat": f"{epoch} 0 {number} 1 0 9999 {mib * 1024} 1 gunicorn",
            }[kind]
            lines.append(row if pid else row.split(" ", 1)[1])
    path = folder / f"{kind}.txt"
    text = "\n".join(lines)
    path.write_text(text if pid else text.replace("  PID ", " "))
    return path


def said(run: ll.Run) -> str:
    return " ".join(str(event["text"]) for event in run.meta["events"])


@pytest.mark.parametrize("kind", ["ps", "top", "pidstat"])
def test_pids_of_one_command_are_summed_and_that_is_said(tmp_path: Path, kind: str) -> None:
    path = printed(tmp_path, kind)
    run = ll.read(path)
    assert run.verdict().resources[0].first == 500 * MIB
    assert "summed over 2 processes of gunicorn: --group PID takes them apart" in said(run)
    run = ll.read(path, group="PID")
    assert {e.role: e.verdict for e in run.verdict().resources if e.name == "rss_bytes"} == {
        "101": "leak",
        "102": "bounded",
    }
    assert "summed" not in said(run)
    with pytest.raises(UsageError, match=r"no column USR: .*; there are "):
        ll.read(path, group="USR")


def test_rows_without_a_pid_are_summed_too(tmp_path: Path) -> None:
    run = ll.read(printed(tmp_path, "ps", pid=False))
    assert run.verdict().resources[0].first == 500 * MIB
    assert "summed over 2 processes of gunicorn: print the pid" in said(run)


@pytest.mark.parametrize(
    "option",
    [{"time": "x"}, {"values": ("x",)}, {"group": "x"}, {"unit": "MiB"}],
)
def test_an_option_that_a_format_has_no_use_for_is_refused(option: Any) -> None:
    path = Path(__file__).parents[1] / "evidence" / "psrecord_leaky.log"
    with pytest.raises(UsageError, match=r"--\w+ says nothing of psrecord: .*; leave it out"):
        ll.read(path, **option)


@pytest.mark.parametrize("name", ["mprof_child.dat", "pidstat_python.txt"])
def test_a_unit_that_the_format_says_itself_is_refused(name: str) -> None:
    path = Path(__file__).parents[1] / "evidence" / name
    with pytest.raises(UsageError, match=r"--unit says nothing of [\w-]+: .*; "):
        ll.read(path, unit="GiB")


@pytest.mark.parametrize("form", ["memray", "tracemalloc"])
def test_a_capture_has_no_columns_either(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    path = tmp_path / "capture.bin"
    path.write_bytes(b"memray")
    assert main(["import", str(path), "--format", form, "--unit", "MiB"]) == 2
    assert f"--unit says nothing of {form}: {path}; leave it out" in capsys.readouterr().err
