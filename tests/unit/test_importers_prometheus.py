"""Answers of Prometheus and panels of Grafana: labels, restarts, limits, counters, replicas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import leaklab as ll
from leaklab.errors import LeaklabError, UsageError
from leaklab.results.run import Run

EVIDENCE = Path(__file__).parents[1] / "evidence"
MIB = float(1 << 20)
START = 1_700_000_000
HOURS = 3600.0


def row(name: str, seconds: Any, values: Any, **labels: str) -> dict[str, Any]:
    metric = {"__name__": name, "job": "web", "instance": "10.0.0.1:8000", **labels}
    pairs = [[START + float(s), str(float(v))] for s, v in zip(seconds, values, strict=True)]
    return {"metric": {k: v for k, v in metric.items() if v}, "values": pairs}


def answer(folder: Path, *rows: dict[str, Any], name: str = "answer.json") -> Path:
    path = folder / name
    data = {"resultType": "matrix", "result": list(rows)}
    path.write_text(json.dumps({"status": "success", "data": data}))
    return path


def notes(run: Run) -> str:
    return " ".join(event["text"] for event in run.meta["events"])


SECONDS = np.arange(0, 48 * HOURS, 300.0)


def test_a_process_that_is_killed_and_started_again_leaks(tmp_path: Path) -> None:
    age = SECONDS % (15 * HOURS)
    rss = (300 + 700 * age / (15 * HOURS)) * MIB
    begun = START + SECONDS - age
    path = answer(
        tmp_path,
        row("process_resident_memory_bytes", SECONDS, rss),
        row("process_start_time_seconds", SECONDS, begun),
    )
    run = ll.read(path, limit_bytes=1024 * MIB)
    entry = run.verdict().resource("rss_bytes")
    assert entry is not None
    assert entry.verdict == "leak"
    assert entry.rate == pytest.approx(700 * MIB / (15 * HOURS), rel=0.02)
    assert "by age over 4 lives" in entry.reason
    assert "3 restarts cut out (Wed 15 Nov 13:13 UTC" in notes(run)
    left = run.time_left()
    assert left is not None
    # The last life is three hours old: 300 + 140 of 1,024 MiB.
    assert left.left == pytest.approx((1024 - 440) / 700 * 15 * HOURS, rel=0.03)


def test_without_its_start_time_no_restart_is_guessed(tmp_path: Path) -> None:
    rss = (300 + 700 * (SECONDS % (15 * HOURS)) / (15 * HOURS)) * MIB
    run = ll.read(answer(tmp_path, row("process_resident_memory_bytes", SECONDS, rss)))
    assert len(run.meta["processes"]) == 1
    assert run.verdict().verdict != "leak"


def test_containers_that_follow_each_other_are_lives(tmp_path: Path) -> None:
    rows = []
    for number in range(3):
        part = SECONDS[number == (SECONDS // (16 * HOURS))]
        rss = (300 + 20 * (part - part[0]) / HOURS) * MIB
        labels = {"pod": "web-0", "container": "web", "id": f"/docker/{number}"}
        rows.append(row("container_memory_rss", part, rss, **labels))
    run = ll.read(answer(tmp_path, *rows))
    assert run.verdict().verdict == "leak"
    assert "2 restarts cut out" in notes(run)
    entry = run.verdict().resource("gauge:container_memory_rss_bytes")
    assert entry is not None
    assert entry.rate == pytest.approx(20 * MIB / HOURS, rel=0.02)


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        (("web-7d4b9c8f6-x7z9q", "web-5ccf9b5f8-2g9gs"), {"main"}),
        (("agent-x7z9q", "agent-2g9gs"), {"main"}),
        (("web-cache", "web-store"), {"web-cache", "web-store"}),
        (("shard-00001", "shard-00002"), {"shard-00001", "shard-00002"}),
    ],
)
def test_only_pods_of_one_owner_are_lives_of_one_place(
    tmp_path: Path, names: tuple[str, str], roles: set[str]
) -> None:
    rows = []
    for number, pod in enumerate(names):
        part = SECONDS[number == (SECONDS // (24 * HOURS))]
        flat = np.full(len(part), (300 + 100 * number) * MIB)
        rows.append(row("container_memory_rss", part, flat, pod=pod, instance=""))
    run = ll.read(answer(tmp_path, *rows))
    assert {p["role"] for p in run.meta["processes"]} == roles


def test_memory_under_a_name_of_its_own_is_judged_beside_descriptors(tmp_path: Path) -> None:
    flat, held = np.full(len(SECONDS), 20.0), (300 + 20 * SECONDS / HOURS) * MIB
    path = answer(
        tmp_path,
        row("process_open_fds", SECONDS, flat),
        row("shop_heap_bytes", SECONDS, held),
    )
    verdict = ll.read(path).verdict()
    assert verdict.verdict == "leak"
    assert "gauge:shop_heap_bytes" in verdict.reason


def test_page_cache_is_told_apart(tmp_path: Path) -> None:
    labels = {"pod": "web-0", "container": "web"}
    cache = np.minimum(5 * SECONDS / HOURS, 500) * MIB
    flat = np.full(len(SECONDS), 300 * MIB)
    limit = np.full(len(SECONDS), 1024 * MIB)
    working = row("container_memory_working_set_bytes", SECONDS, flat + cache, **labels)
    alone = ll.read(answer(tmp_path, working)).verdict()
    assert alone.verdict == "inconclusive"
    assert "page cache" in alone.reason
    run = ll.read(
        answer(
            tmp_path,
            working,
            row("container_memory_rss", SECONDS, flat, **labels),
            row("container_spec_memory_limit_bytes", SECONDS, limit, **labels),
        )
    )
    assert run.verdict().verdict == "bounded"
    assert run.meta["limits"] == {"cgroup_memory_bytes": 1024 * MIB}


def test_the_total_of_a_pod_is_called_by_its_name(tmp_path: Path) -> None:
    flat = np.full(len(SECONDS), 300 * MIB)
    name = "container_memory_working_set_bytes"
    rows = [row(name, SECONDS, flat, pod="web-0", container=part) for part in ("app", "proxy", "")]
    run = ll.read(answer(tmp_path, *rows))
    assert {p["role"] for p in run.meta["processes"]} == {"app", "proxy", "web-0"}


def test_each_pod_meets_its_own_limit(tmp_path: Path) -> None:
    rows = []
    for pod, step, limit in (("api-0", 0.2, 1024), ("db-0", 0.0, 320)):
        used = (300 + step * np.arange(len(SECONDS))) * MIB
        whole = np.full(len(SECONDS), limit * MIB)
        # The limit is told by another job, from another place.
        told = {"job": "kube-state-metrics", "instance": "10.0.0.9:8080", "resource": "memory"}
        rows += [
            row("container_memory_rss", SECONDS, used, pod=pod),
            row("kube_pod_container_resource_limits", SECONDS, whole, pod=pod, **told),
        ]
    run = ll.read(answer(tmp_path, *rows))
    text = run.limit_text()
    assert text is not None
    assert text.startswith("gauge:container_memory_rss_bytes of api-0 reaches 1 GiB")


def test_page_cache_itself_is_no_leak_and_decides_nothing(tmp_path: Path) -> None:
    cache = row("container_memory_cache", SECONDS, (100 + SECONDS / HOURS) * MIB, pod="web-0")
    alone = ll.read(answer(tmp_path, cache)).verdict()
    assert alone.resources[0].verdict == "inconclusive"
    assert "it is page cache" in alone.resources[0].reason
    nothing = "nothing that decides was measured: gauge:container_memory_cache_bytes"
    assert alone.reason == f"{nothing}; add resident memory"
    flat = row("container_memory_rss", SECONDS, np.full(len(SECONDS), 300 * MIB), pod="web-0")
    beside = ll.read(answer(tmp_path, cache, flat)).verdict()
    assert {entry.verdict for entry in beside.resources} == {"inconclusive", "bounded"}
    assert beside.verdict == "bounded"


def test_a_young_replica_is_told_by_an_older_one(tmp_path: Path) -> None:
    def level(age: Any) -> Any:
        return (300 + 200 * (1 - np.exp(-age / (3 * HOURS)))) * MIB

    young = SECONDS[SECONDS >= 46 * HOURS]
    rows = [
        row("process_resident_memory_bytes", SECONDS, level(SECONDS), instance="old:1"),
        row("process_resident_memory_bytes", young, level(young - young[0]), instance="young:1"),
    ]
    verdict = ll.read(answer(tmp_path, *rows)).verdict()
    old, new = (verdict.resource("rss_bytes", role) for role in ("old:1", "young:1"))
    assert old is not None
    assert new is not None
    assert (old.verdict, new.verdict) == ("bounded", "inconclusive")


def test_counters_are_refused_or_left_out(tmp_path: Path) -> None:
    counter = row("http_requests_total", SECONDS, SECONDS)
    with pytest.raises(UsageError, match=r"only counters: .*http_requests_total never falls"):
        ll.read(answer(tmp_path, counter))
    rss = row("process_resident_memory_bytes", SECONDS, np.full(len(SECONDS), 1e8))
    run = ll.read(answer(tmp_path, rss, counter))
    assert run.verdict().verdict == "bounded"
    assert "left out, as counters only grow: http_requests_total" in notes(run)


def test_an_idle_end_is_no_plateau_where_the_processor_tells(tmp_path: Path) -> None:
    busy = SECONDS < 36 * HOURS
    rss = (300 + 10 * np.minimum(SECONDS, 36 * HOURS) / HOURS) * MIB
    cpu = np.cumsum(np.where(busy, 240.0, 0.3))
    run = ll.read(
        answer(
            tmp_path,
            row("process_resident_memory_bytes", SECONDS, rss),
            row("process_cpu_seconds_total", SECONDS, cpu),
        )
    )
    entry = run.verdict().resource("rss_bytes")
    assert entry is not None
    assert entry.verdict == "leak"
    assert "without the idle end" in entry.reason


@pytest.mark.parametrize(
    ("result", "shown"),
    [("x", '"x"'), ([[1]], r"\[1\]"), ([{"metric": {}, "values": [[1], [2, "3"]]}], "values")],
)
def test_a_damaged_answer_is_named(tmp_path: Path, result: object, shown: str) -> None:
    path = tmp_path / "answer.json"
    path.write_text(json.dumps({"data": {"resultType": "matrix", "result": result}}))
    with pytest.raises(LeaklabError, match=f"a damaged answer of Prometheus: .*{shown}.*again"):
        ll.read(path)
    path.write_text('{"data": null, "resultType": 0, "result": 0}')
    with pytest.raises(LeaklabError, match=r"a damaged answer of Prometheus: .*null"):
        ll.read(path)


def test_answers_without_a_course_are_named(tmp_path: Path) -> None:
    vector = {"resultType": "vector", "result": [{"metric": {}, "value": [1, "2"]}]}
    cases = {
        json.dumps({"status": "success", "data": vector}): "one moment only",
        json.dumps({"status": "success", "data": {"resultType": "matrix", "result": []}}): (
            "without figures"
        ),
        '{"status":"success","data":{"resultType":"matrix","result":[': "damaged JSON",
    }
    for text, message in cases.items():
        path = tmp_path / "answer.json"
        path.write_text(text)
        with pytest.raises(LeaklabError, match=message):
            ll.read(path)
    unknown = row("queue_size", SECONDS, SECONDS)
    with pytest.raises(UsageError, match=r"no metric of memory .*--value"):
        ll.read(answer(tmp_path, unknown))
    run = ll.read(answer(tmp_path, unknown), values=["queue_size=gauge:queue"])
    assert run.verdict().resources[0].name == "gauge:queue"


def test_a_panel_of_grafana_has_one_process_a_column() -> None:
    with pytest.raises(UsageError, match=r"no unit for column Pod .*--unit"):
        ll.read(EVIDENCE / "grafana_hpa.csv")
    run = ll.read(EVIDENCE / "grafana_hpa.csv", unit="bytes", values=["Memory=rss_bytes"])
    roles = [process["role"] for process in run.meta["processes"]]
    assert "Pod 4" in roles
    assert "avg" not in roles
    assert run.data.samples["value"].notna().all()


def test_units_in_the_cells_of_grafana(tmp_path: Path) -> None:
    path = tmp_path / "panel.csv"
    lines = [f'"2024-03-01 10:{n:02}:00","{1 + n / 100:.2f} GiB","undefined"' for n in range(40)]
    path.write_text("\n".join(['"Time","web-1","web-2"', *lines]))
    run = ll.read(path)
    assert run.data.samples["value"].iloc[0] == 1 << 30
    assert run.verdict().resources[0].name == "gauge:panel_bytes"
    assert run.verdict().verdict == "leak"
    with pytest.raises(UsageError, match=r"no column when: .*; there are Time, web-1, web-2"):
        ll.read(path, time="when")


@pytest.mark.parametrize(
    ("heading", "cell", "least", "said"),
    [
        ("RSS, MiB", "200", 200 * MIB, "MiB, as rss_bytes"),
        ("web-gb-1 memory (KiB)", "200", 200 * 1024, "KiB, as gauge"),
        ("Memory in bytes", "200", 200, "bytes, as gauge"),
        ("RSS, MiB", "1.5 GiB", 1.5 * (1 << 30), "in the cells' own units, as rss_bytes"),
    ],
)
def test_a_heading_of_grafana_may_say_the_unit(
    tmp_path: Path, heading: str, cell: str, least: float, said: str
) -> None:
    path = tmp_path / "panel.csv"
    lines = [f'"2024-03-01 10:{n:02}:00","{cell}"' for n in range(40)]
    path.write_text("\n".join([f'"Time","{heading}"', *lines]))
    run = ll.read(path)
    assert run.data.samples["value"].iloc[0] == least
    assert said in notes(run)
    path.write_text(path.read_text().replace(heading, "web-gb"))
    if cell == "200":
        with pytest.raises(UsageError, match="no unit for column web-gb"):
            ll.read(path)


def test_an_answer_of_prometheus_itself() -> None:
    run = ll.read(EVIDENCE / "prometheus_restart.json")
    entry = run.verdict().resource("rss_bytes")
    assert entry is not None
    assert entry.verdict == "leak"
    # 200 kB every tenth of a second and a little, in two lives of 40 s.
    assert entry.rate == pytest.approx(2e6, rel=0.05)
    assert "by age over 2 lives" in entry.reason
    assert "1 restart cut out" in notes(run)
    assert "left out, as counters only grow: web_requests_total" in notes(run)


@pytest.mark.parametrize("values", [(), ("value=rss_bytes",), ("value",)])
def test_a_query_that_divides_is_in_the_unit_that_is_asked_for(
    tmp_path: Path, values: tuple[str, ...]
) -> None:
    path = answer(tmp_path, row("", SECONDS, 200 + SECONDS / HOURS))
    run = ll.read(path, unit="MiB", values=values)
    assert run.verdict().verdict == "leak"
    assert run.verdict().resources[0].rate == pytest.approx(MIB / HOURS, rel=0.01)
    assert "value in MiB as" in run.meta["events"][0]["text"]


def test_the_unit_of_memory_is_none_of_a_count(tmp_path: Path) -> None:
    path = answer(tmp_path, row("queue", SECONDS, 5 + SECONDS / HOURS))
    run = ll.read(path, unit="MiB", values=["queue=gauge:queue"])
    assert run.data.samples["value"].iloc[0] == 5


def test_an_export_of_victoriametrics_has_a_series_a_line(tmp_path: Path) -> None:
    path = tmp_path / "export.jsonl"
    halves = np.array_split(np.arange(400), 2)
    lines = [
        {
            "metric": {"__name__": "process_resident_memory_bytes", "pod": "web-1"},
            "values": [float((200 + n) * MIB) for n in half],
            "timestamps": [(START + 60 * int(n)) * 1000 for n in half],
        }
        for half in reversed(halves)
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    run = ll.read(path)
    entry = run.verdict().resource("rss_bytes")
    assert entry is not None
    assert entry.verdict == "leak"
    assert entry.rate == pytest.approx(MIB / 60, rel=0.01)


def test_a_table_of_grafana_with_a_row_for_each_series(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    rows = [
        f'"2026-11-20 08:{n:02}:00","{pod}","{held} MiB"'
        for n in range(40)
        for pod, held in (("web", 200 + n), ("db", 300))
    ]
    path.write_text("\n".join(['"Time","pod","Value"', *rows]))
    entries = {entry.role: entry for entry in ll.read(path).verdict().resources}
    assert entries["web"].name == "gauge:Value_bytes"
    assert entries["web"].rate == pytest.approx(MIB / 60, rel=0.02)
    assert entries["db"].verdict == "bounded"
