"""Tables of one's own: which columns, which unit, which processes; nothing is guessed silently."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import leaklab as ll
from leaklab.errors import LeaklabError, UsageError
from leaklab.importers.thinned import thinned
from leaklab.importers.wide import members_of

EVIDENCE = Path(__file__).parents[1] / "evidence"
MIB = 1 << 20


def written(folder: Path, text: str, name: str = "figures.txt") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def table(columns: dict[str, list[object]], separator: str = ",") -> str:
    lines = [separator.join(columns)]
    lines += [separator.join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    return "\n".join(lines) + "\n"


def growing(count: int = 40, step: float = 1.0) -> list[float]:
    return [round(100 + step * number, 3) for number in range(count)]


@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
def test_a_unit_in_the_heading_is_read_whatever_separates(tmp_path: Path, separator: str) -> None:
    text = table({"timestamp": [1.7e9 + 60 * n for n in range(40)], "rss_mb": growing()}, separator)
    run = ll.read(written(tmp_path, text))
    entry = run.verdict().resource("rss_bytes")
    assert run.verdict().verdict == "leak"
    assert entry is not None
    assert entry.rate == pytest.approx(MIB / 60, rel=0.01)


@pytest.mark.parametrize(
    ("heading", "cells", "options", "first"),
    [
        ("rss_kb", "2048", {}, 2 * MIB),
        ("rss", "2.0 MiB", {}, 2 * MIB),
        ("rss", "2MB", {}, 2_000_000),
        ("rss", "2Mi", {}, 2 * MIB),
        ("rss", "2048Ki", {}, 2 * MIB),
        ("rss", "2", {"unit": "MiB"}, 2 * MIB),
        ("rss_mb", "2", {"unit": "MB"}, 2_000_000),
        ("rss_bytes", "2097152", {}, 2 * MIB),
        ("RSS (KiB)", "2048", {}, 2 * MIB),
        ("residentMemoryMB", "2", {}, 2 * MIB),
    ],
)
def test_units(
    tmp_path: Path, heading: str, cells: str, options: dict[str, str], first: float
) -> None:
    text = table({"time": list(range(12)), heading: [cells] * 12})
    run = ll.read(written(tmp_path, text), **options)  # type: ignore[arg-type]
    rows = run.data.samples
    assert rows[rows["name"] == "rss_bytes"]["value"].tolist() == [first] * 12


def test_a_figure_without_a_unit_is_refused_with_the_option(tmp_path: Path) -> None:
    path = written(tmp_path, table({"time": list(range(12)), "rss": [12345] * 12}))
    with pytest.raises(UsageError, match=r"no unit for column rss: 12345 .*--unit"):
        ll.read(path)


def test_columns_of_node_are_in_bytes() -> None:
    run = ll.read(EVIDENCE / "node_memory_usage.csv")
    names = {resource.name for resource in run.verdict().resources}
    assert {"rss_bytes", "gauge:heapUsed_bytes", "gauge:external_bytes"} <= names
    assert run.data.samples["value"].iloc[0] == 172339200


@pytest.mark.parametrize(
    ("times", "seconds"),
    [
        (["2024-03-01 10:00", "2024-03-01 10:05", "2024-03-01 10:10"], [0, 300, 600]),
        (["2024-03-01T10:00:00+01:00", "2024-03-01T09:00:30Z", "2024-03-01T10:01:00+01:00"],
         [0, 30, 60]),
        (["1700000000000", "1700000001000", "1700000002000"], [0, 1, 2]),
        (["1700000000.5", "1700000001.5", "1700000002.5"], [0, 1, 2]),
        (["23:59:50", "00:00:00", "00:00:10"], [0, 10, 20]),
        (["0", "60", "120"], [0, 60, 120]),
    ],
)  # fmt: skip
def test_times(tmp_path: Path, times: list[str], seconds: list[float]) -> None:
    run = ll.read(written(tmp_path, table({"time": times, "rss_mb": [1, 2, 3]})))
    assert run.data.samples["time_seconds"].tolist() == pytest.approx(seconds)


def test_iterations_are_marks(tmp_path: Path) -> None:
    text = table({"iteration": [1000 * n for n in range(1, 41)], "rss_mb": growing()})
    entry = ll.read(written(tmp_path, text)).verdict().resource("rss_bytes")
    assert entry is not None
    assert (entry.verdict, entry.unit) == ("leak", "iteration")
    assert entry.rate == pytest.approx(MIB / 1000, rel=0.01)


def test_a_column_as_marks_gives_rates_per_unit_of_work(tmp_path: Path) -> None:
    columns = {
        "time": [60 * n for n in range(40)],
        "rss_mb": growing(),
        "http_requests_total": [50 * n for n in range(1, 41)],
    }
    run = ll.read(written(tmp_path, table(columns)), values=["http_requests_total=mark"])
    entry = run.verdict().resource("rss_bytes")
    assert entry is not None
    assert entry.unit == "iteration"
    assert entry.rate == pytest.approx(MIB / 50, rel=0.01)


def test_json_lines_with_nested_objects_and_a_cut_last_line(tmp_path: Path) -> None:
    lines = [
        json.dumps({"ts": 1.7e9 + n, "memory": {"rss_mb": value}, "fds": 12})
        for n, value in enumerate(growing())
    ]
    run = ll.read(written(tmp_path, "\n".join([*lines, '{"ts": 17'])))
    assert run.verdict().verdict == "leak"
    assert run.verdict().resource("fd_count") is not None
    assert any("1 lines are no JSON" in event["text"] for event in run.meta["events"])


def test_a_gzip_is_read_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "figures.dat"
    path.write_bytes(gzip.compress((EVIDENCE / "issue_table.csv").read_bytes()))
    run = ll.read(path)
    assert len(run.data.samples) == 11


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-8-sig"])
def test_a_byte_order_mark_says_the_encoding(tmp_path: Path, encoding: str) -> None:
    text = table({"time": [60 * n for n in range(40)], "rss_mb": growing()})
    mark = "\ufeff" if encoding.endswith("be") else ""
    path = tmp_path / "figures.csv"
    path.write_bytes((mark + text).encode(encoding))
    assert ll.read(path).verdict().verdict == "leak"
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert ll.read(path).verdict().verdict == "leak"


def test_one_process_for_each_label(tmp_path: Path) -> None:
    rows = {
        "time": [n // 2 * 60 for n in range(80)],
        "pod": ["a", "b"] * 40,
        "rss_mb": [100 + n if n % 2 else 200 for n in range(80)],
    }
    run = ll.read(written(tmp_path, table(rows)))
    found = {resource.role: resource.verdict for resource in run.verdict().resources}
    assert found == {"a": "bounded", "b": "leak"}


def test_a_pid_that_changes_is_a_restart_and_two_at_once_are_processes(tmp_path: Path) -> None:
    one_after_another = {
        "time": [60 * n for n in range(80)],
        "pid": [100] * 40 + [200] * 40,
        "rss_mb": growing() * 2,
    }
    run = ll.read(written(tmp_path, table(one_after_another)))
    assert [p["pid"] for p in run.meta["processes"]] == [100, 200]
    assert any("1 restart cut out" in event["text"] for event in run.meta["events"])
    entry = run.verdict().resource("rss_bytes")
    assert entry is not None
    assert entry.verdict == "leak"
    assert "by age over 2 lives" in entry.reason
    at_once = {
        "time": [n // 2 for n in range(80)],
        "pid": [1, 2] * 40,
        "rss_mb": [10, 20] * 40,
    }
    run = ll.read(written(tmp_path, table(at_once)))
    assert {p["role"] for p in run.meta["processes"]} == {"1", "2"}


@pytest.mark.parametrize("column", ["uptime_s", "elapsed_s", "process_start_time"])
def test_restarts_are_known_from_uptime_and_start_times(tmp_path: Path, column: str) -> None:
    age = [60 * n for n in range(40)] * 2
    told = [1.7e9] * 40 + [1.8e9] * 40 if column == "process_start_time" else age
    rows: dict[str, list[object]] = {column: told, "rss_mb": growing() * 2}
    if column != "elapsed_s":
        rows = {"time": [60 * n for n in range(80)], **rows}
    entry = ll.read(written(tmp_path, table(rows))).verdict().resource("rss_bytes")
    assert entry is not None
    assert entry.verdict == "leak"
    assert "by age over 2 lives" in entry.reason


def test_an_uptime_with_units_tells_restarts(tmp_path: Path) -> None:
    uptime = [f"{60 * n} %" for n in range(40)] * 2
    rows = {"time": [60 * n for n in range(80)], "uptime": uptime, "rss_mb": growing() * 2}
    assert len(ll.read(written(tmp_path, table(rows))).meta["processes"]) == 2


def test_a_column_without_a_heading_is_named_by_its_number(tmp_path: Path) -> None:
    path = written(tmp_path, "\n".join(f"{1.7e9 + 60 * n},{1024 * (n + 100)}" for n in range(40)))
    run = ll.read(path, time="1", values=["2=rss_bytes"], unit="KiB")
    assert run.verdict().resources[0].rate == pytest.approx(MIB / 60, rel=0.01)


def test_memory_under_a_name_of_its_own_decides(tmp_path: Path) -> None:
    text = table({"time": [60 * n for n in range(40)], "memory_used_mb": growing()})
    run = ll.read(written(tmp_path, text), limit_bytes=200 * MIB)
    assert run.verdict().verdict == "leak"
    assert run.verdict().resources[0].name == "gauge:memory_used_bytes"
    left = run.time_left()
    assert left is not None
    assert left.left == pytest.approx(61 * 60, rel=0.05)


def test_a_metric_with_page_cache_proves_no_leak(tmp_path: Path) -> None:
    values = [int(value * MIB) for value in growing()]
    text = table(
        {"time": [60 * n for n in range(40)], "container_memory_working_set_bytes": values}
    )
    verdict = ll.read(written(tmp_path, text)).verdict()
    assert verdict.verdict == "inconclusive"
    assert "page cache" in verdict.reason
    assert "container_memory_rss" in verdict.reason


def test_the_columns_of_real_tables() -> None:
    run = ll.read(EVIDENCE / "psutil_script.csv")
    assert "sharewarez_total_rss_mb in MiB as rss_bytes" in run.meta["events"][0]["text"]
    run = ll.read(EVIDENCE / "docker_table.csv", unit="MiB")
    assert {p["role"] for p in run.meta["processes"]} == {"Visualizer", "EVAM"}
    assert run.data.samples["name"].isin(["gauge:Memory_Usage_bytes", "gauge:cpu_percent"]).all()
    run = ll.read(EVIDENCE / "prometheus_table.csv", unit="bytes")
    assert run.verdict().resources[0].name == "gauge:memory_usage_bytes"
    assert not [name for name in run.data.samples["name"] if "timestamp" in name]
    run = ll.read(EVIDENCE / "issue_table.csv")
    assert run.data.samples["value"].iloc[0] == pytest.approx(90.7 * MIB)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time,rss_mb\n", "only 0 rows"),
        ("time,rss_mb\n1,10\n2,oops\n3,12\n4,13\n", "not a figure in column rss_mb, row 2: 'oops'"),
        ("time,rss_mb\nfoo,1\nbar,2\nbaz,3\n", "no times in column time: 'foo'; .*--time"),
        ("a,b\n1,2\n2,3\n3,4\n", "no column of memory that is known: .*--value"),
        (
            "time,rss\n1,2Xi\n2,3Xi\n3,4Xi\n",
            "column rss is known, but its cells .*: '2Xi': .*--value",
        ),
        ("time,rss_kb,x\n1,,5\n2,,6\n3,,7\n", "column rss_kb is known, but empty: .*--value"),
        ("time,requests_total\n1,2\n2,3\n3,4\n", "only counters"),
        ("rss_mb,fds\n1,2\n2,3\n3,4\n", "no column of times or iterations"),
    ],
)
def test_what_is_refused_names_the_option(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ll.read(written(tmp_path, text))


def test_memory_that_cannot_be_read_is_said_beside_what_can(tmp_path: Path) -> None:
    columns = {"time": [*range(12)], "rss": ["9Xi"] * 12, "fds": [5] * 12}
    run = ll.read(written(tmp_path, table(columns)))
    texts = [event["text"] for event in run.meta["events"]]
    assert "column rss is known, but its cells are no figures: '9Xi'" in texts


def test_dates_in_a_first_column_without_a_heading_are_the_time(tmp_path: Path) -> None:
    index = pd.date_range("2026-01-01", periods=40, freq="min")
    path = tmp_path / "figures.csv"
    pd.DataFrame({"rss_mb": growing()}, index=index).to_csv(path)
    run = ll.read(path)
    assert run.data.samples["time_seconds"].iloc[-1] == 39 * 60
    pd.DataFrame({"n": range(40), "rss_mb": growing()}).to_csv(path)
    assert ll.read(path).verdict().resources[0].unit == "iteration"


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, table({"time": [1, 2, 3], "rss_mb": [1, 2, 3]}))
    for options in ({"time": "when"}, {"values": ["mem=rss_bytes"]}, {"group": "pod"}):
        with pytest.raises(UsageError, match=r"no column .*; there are time, rss_mb"):
            ll.read(path, **options)  # type: ignore[arg-type]
    for name in ("rss", "gauge:"):
        with pytest.raises(UsageError, match=f"unknown resource: {name}; allowed: .*, mark, .*"):
            ll.read(path, values=[f"rss_mb={name}"])
    with pytest.raises(UsageError, match=r"no verdict on heap_bytes .*; give it as gauge:heap_"):
        ll.read(path, values=["rss_mb=heap_bytes"])
    with pytest.raises(UsageError, match="unknown unit: furlong"):
        ll.read(path, unit="furlong")


def test_figures_that_exist_become_a_run() -> None:
    seconds = np.arange(0.0, 600.0, 10.0)
    run = ll.from_series({"rss_bytes": (seconds, 1e8 + 1e5 * seconds)}, unit="second")
    assert run.verdict().verdict == "leak"
    assert run.verdict().resources[0].rate == pytest.approx(1e5, rel=0.01)
    marks = np.arange(1.0, 61.0)
    run = ll.from_series({"gauge:queue": (marks, np.full(60, 5.0))}, unit="iteration")
    assert run.verdict().verdict == "bounded"
    with pytest.raises(UsageError, match="unknown unit: hour"):
        ll.from_series({"rss_bytes": ([1.0], [1.0])}, unit="hour")
    with pytest.raises(LeaklabError, match="differ in shape"):
        ll.from_series({"rss_bytes": ([1.0, 2.0], [1.0])})


def test_a_long_table_keeps_as_many_rows_of_each_process() -> None:
    count = 600
    rows = pd.DataFrame(
        {
            "time": [f"2026-11-28T{k // 120:02}:{k // 2 % 60:02}:00Z" for k in range(count)],
            "container": ["a", "b"] * (count // 2),
            "rss_mb": range(count),
        }
    )
    parts = [rows.iloc[begin : begin + 70] for begin in range(0, count, 70)]
    whole, step = thinned(parts, None)
    assert (len(whole), step) == (count, 1)
    kept, step = thinned(parts, None, most_rows=200)
    assert step == 4
    assert kept["container"].value_counts().to_dict() == {"a": 75, "b": 75}
    # Every fourth of each, evenly, from its first on.
    assert kept["rss_mb"].tolist()[:4] == [0, 1, 8, 9]
    assert kept["time"].diff().dropna().isin([0.0, 240.0]).all()
    assert whole["time"].iloc[0] == pd.Timestamp("2026-11-28T00:00:00Z").timestamp()


@pytest.mark.parametrize("cell", ["{},5", "{} MiB"])
def test_figures_that_are_texts_tell_no_processes_apart(cell: str) -> None:
    values = [cell.format(100 + k % 3 * (k % 5)) for k in range(600)]
    kept, step = thinned([pd.DataFrame({"time": range(600), "rss_mb": values})], None, 200)
    assert step == 4
    assert kept["time"].tolist() == list(range(0, 600, 4))


def test_a_share_beside_an_amount_goes_by_its_own_name_and_is_told(tmp_path: Path) -> None:
    columns: dict[str, list[object]] = {
        "Time (s)": list(range(60)),
        "Memory (MB)": growing(60),
        "Memory %": [round(0.1 + 0.0015 * n, 4) for n in range(60)],
    }
    run = ll.read(written(tmp_path, table(columns), "psutil.csv"))
    found = {entry.name: entry.verdict for entry in run.verdict().resources}
    assert found == {"gauge:Memory_bytes": "leak", "gauge:Memory_percent": "leak"}
    texts = [event["text"] for event in run.meta["events"]]
    assert "listed, too: Memory % as gauge:Memory_percent" in texts


@pytest.mark.parametrize("separator", [",", ";"])
def test_headings_of_files_that_were_appended_are_left_out(tmp_path: Path, separator: str) -> None:
    columns: dict[str, list[object]] = {
        "timestamp": [f"2026-03-01T10:{n:02}:00" for n in range(40)],
        "rss_mb": [*growing()],
    }
    day = table(columns, separator)
    later = day.replace("T10:", "T11:")
    run = ll.read(written(tmp_path, day + later + day.replace("T10:", "T12:")))
    assert len(run.data.samples) == 120
    assert any("2 rows that repeat the heading" in event["text"] for event in run.meta["events"])


WIDE = {
    "by words": ("web-1 rss (MiB)", "web-2 rss (MiB)", ("rss_bytes", "web-2")),
    "within words": ("web1RssMiB", "web2RssMiB", ("rss_bytes", "web2")),
    "one of no name": ("rss_mib", "rss_mib_worker", ("rss_bytes", "worker")),
    "plain memory": ("web memory (MiB)", "jobs memory (MiB)", ("gauge:memory_bytes", "jobs")),
    "labels": (
        'process_resident_memory_bytes{instance="a:1"}',
        'process_resident_memory_bytes{instance="b:1"}',
        ("rss_bytes", "b:1"),
    ),
}


@pytest.mark.parametrize("name", WIDE)
def test_columns_of_several_processes_are_judged_as_their_rows_would_be(
    tmp_path: Path, name: str
) -> None:
    first, second, wanted = WIDE[name]
    scale = MIB if "bytes" in first else 1
    flat = [scale * (100 + number % 2) for number in range(80)]
    columns = {
        "timestamp": [1.7e9 + 60 * n for n in range(80)],
        first: flat,
        second: [scale * figure for figure in growing(80)],
        "queue": [number % 5 for number in range(80)],
    }
    verdict = ll.read(written(tmp_path, table(columns))).verdict()
    leaks = {(one.name, one.role) for one in verdict.resources if one.verdict == "leak"}
    assert (verdict.verdict, leaks) == ("leak", {wanted})
    roles = {one.role for one in verdict.resources if one.name == "gauge:queue"}
    assert roles == {"main"}


def test_one_of_several_columns_may_be_asked_for(tmp_path: Path) -> None:
    columns = {"t": range(80), "web-1 rss (MiB)": [100] * 80, "web-2 rss (MiB)": growing(80)}
    verdict = ll.read(written(tmp_path, table(columns)), values=["web-1 rss (MiB)"]).verdict()
    assert {(one.name, one.role) for one in verdict.resources} == {("rss_bytes", "main")}


@pytest.mark.parametrize(
    "names",
    [
        ("rss_mb", "rss_kb"),
        ("rss_mb", "rss_mb_total"),
        ("rss_mb", "rss_anon_mb"),
        ("rss_mb", "rss_p95_mb"),
        ("memory_mb", "gpu_memory_mb"),
        ("threads active", "threads idle"),
    ],
)
def test_parts_and_sums_of_one_process_are_no_processes(names: tuple[str, str]) -> None:
    assert members_of(names) == {}


def beside_threads(memory: str, cells: list[object]) -> str:
    times: list[object] = [1.7e9 + 60 * n for n in range(len(cells))]
    return table({"timestamp": times, memory: cells, "threads": [8] * len(cells)})


@pytest.mark.parametrize(
    ("memory", "unit"), [("memory_mb", ""), ("heap_used_mb", ""), ("uss", " MiB"), ("used", " MiB")]
)
def test_memory_is_judged_though_threads_stand_beside_it(
    tmp_path: Path, memory: str, unit: str
) -> None:
    cells: list[object] = [f"{figure}{unit}" for figure in growing()]
    verdict = ll.read(written(tmp_path, beside_threads(memory, cells))).verdict()
    assert verdict.verdict == "leak"
    assert f"gauge:{memory.removesuffix('_mb')}_bytes" in verdict.reason


def test_memory_without_a_unit_is_refused_though_threads_stand_beside_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no unit for column memory"):
        ll.read(written(tmp_path, beside_threads("memory", list(growing()))))


def test_what_is_used_without_a_unit_may_be_anything_beside_threads(tmp_path: Path) -> None:
    run = ll.read(written(tmp_path, beside_threads("slots_used", list(growing()))))
    assert run.verdict().verdict == "bounded"
    assert "slots_used as gauge:slots_used" in " ".join(e["text"] for e in run.meta["events"])


@pytest.mark.parametrize(
    ("beside", "memory"),
    [
        ("mem_total_mb", "mem_used_mb"),
        ("rss_file_mb", "rss_anon_mb"),
        ("RssFile (MB)", "RssAnon (MB)"),
        ("threads", "mem_percent"),
        ("cpu %", "memory %"),
    ],
)
def test_what_there_is_and_a_part_are_not_what_is_used(
    tmp_path: Path, beside: str, memory: str
) -> None:
    times: list[object] = [1.7e9 + 60 * n for n in range(40)]
    columns: dict[str, list[object]] = {"time": times, beside: [800] * 40, memory: [*growing()]}
    run = ll.read(written(tmp_path, table(columns)))
    assert run.verdict().verdict == "leak"
    assert "rss_bytes" not in run.verdict().reason


def test_all_of_resident_memory_stands_for_its_parts(tmp_path: Path) -> None:
    times: list[object] = [1.7e9 + 60 * n for n in range(40)]
    names = ("RssAnon_kB", "RssFile_kB", "VmRSS_kB")
    columns = {"time": times, **{name: [*growing(step=n)] for n, name in enumerate(names)}}
    run = ll.read(written(tmp_path, table(columns)))
    assert "VmRSS_kB in KiB as rss_bytes" in run.meta["events"][0]["text"]


TIMES = [1_700_000_000 + 60 * n for n in range(40)]
RECORDS = [{"ts": at, "rss_mb": rss} for at, rss in zip(TIMES, growing(), strict=True)]
COLUMNS = {"time": TIMES, "rss_mb": growing()}


@pytest.mark.parametrize(
    "document",
    [
        {"host": "a", "sizes": [1, 2], "samples": RECORDS},
        {"data": {"results": {"few": [{"a": 1}], "rows": RECORDS}}},
        COLUMNS,
        {"meta": {"version": 1}, "figures": COLUMNS},
        json.loads(pd.DataFrame(COLUMNS).to_json()),
        json.loads(pd.DataFrame(COLUMNS).set_index("time").to_json()),
        json.loads(pd.DataFrame(COLUMNS).to_json(orient="table")),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_a_table_in_a_json_document_is_found(
    tmp_path: Path, document: object, indent: int | None
) -> None:
    entry = ll.read(written(tmp_path, json.dumps(document, indent=indent))).verdict().resources[0]
    assert (entry.name, entry.verdict) == ("rss_bytes", "leak")
    assert entry.rate == pytest.approx(MIB / 60, rel=0.01)


def test_tables_of_several_processes_in_a_json_document(tmp_path: Path) -> None:
    flat = [{**row, "rss_mb": 300} for row in RECORDS]
    parts = [{"name": "web", "samples": RECORDS}, {"name": "db", "samples": flat}]
    run = ll.read(written(tmp_path, json.dumps({"processes": parts})))
    found = {entry.role: entry.verdict for entry in run.verdict().resources}
    assert found == {"web": "leak", "db": "bounded"}


def test_times_of_each_figure_are_no_memory(tmp_path: Path) -> None:
    heading = "timestamp_memory_usage,memory_usage,timestamp_memory_working_set,memory_working_set"
    rows = [f"{at},{2 * rss},{at},{rss}" for at, rss in zip(TIMES, growing(), strict=True)]
    path = written(tmp_path, "\n".join([heading, *rows]))
    with pytest.raises(UsageError, match="no unit for column memory_"):
        ll.read(path)
    assert ll.read(path, unit="MiB").verdict().verdict == "leak"
