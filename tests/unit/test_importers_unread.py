"""Rows of a look that failed, written as 0 or -1: left out where no process has that."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

import leaklab as ll
from leaklab.errors import UsageError
from leaklab.importers.columns import least

MIB = 1 << 20


def notes(run: ll.Run) -> str:
    return " ".join(event["text"] for event in run.meta["events"])


@pytest.mark.parametrize("failed", [0, -1])
def test_a_failed_look_hides_no_leak(tmp_path: Path, failed: int) -> None:
    path = tmp_path / "figures.csv"
    rows = [
        f"{60 * n},{failed if n % 40 == 3 else (200 * MIB + n * MIB // 2)},{failed}"
        for n in range(400)
    ]
    path.write_text("\n".join(["time,rss_bytes,children", *rows]))
    run = ll.read(path)
    entry = run.verdict().resource("rss_bytes")
    assert entry is not None
    assert entry.verdict == "leak"
    assert entry.rate == pytest.approx(MIB / 120, rel=0.01)
    assert (
        "10 rows with less than a page of memory as rss_bytes left out: no process has that"
        in notes(run)
    )
    children = (run.data.samples["name"] == "child_count").sum()
    assert children == (400 if failed == 0 else 0)


def test_a_target_that_was_down_in_prometheus(tmp_path: Path) -> None:
    values = [[1.7e9 + 60 * n, str(0 if n == 50 else (200 + n) * MIB)] for n in range(100)]
    labels = {"__name__": "process_resident_memory_bytes"}
    data = {"resultType": "matrix", "result": [{"metric": labels, "values": values}]}
    path = tmp_path / "answer.json"
    path.write_text(json.dumps({"data": data}))
    run = ll.read(path)
    assert run.data.samples["value"].min() >= 200 * MIB
    assert "1 row with less than a page of memory as rss_bytes left out" in notes(run)


def test_a_file_of_failed_looks_only_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "figures.csv"
    path.write_text("\n".join(["time,rss_kb", *(f"{n},0" for n in range(20))]))
    with pytest.raises(UsageError, match=r"no figures in rss_bytes: .*; all are 0 or less"):
        ll.read(path)


@pytest.mark.parametrize(
    ("resource", "lowest"),
    [
        ("rss_bytes", 4096),
        ("thread_count", 1),
        ("fd_count", 0),
        ("task_count", 0),
        ("gauge:container_memory_working_set_bytes", 1),
        ("gauge:memory_used_bytes", 1),
        ("gauge:swap_memory_bytes", float("-inf")),
        ("gauge:memory_delta_bytes", float("-inf")),
        ("gauge:queue", float("-inf")),
    ],
)
def test_what_a_process_has_at_least(resource: str, lowest: float) -> None:
    assert least(resource) == lowest


HOLE = b"\0" * (1 << 17)  # longer than what is looked at first


@pytest.mark.parametrize(
    ("content", "row_count", "said"),
    [
        (HOLE + b"{rows}", 99, ""),  # the file was cut, and written on where it had ended
        (b"{rows}" + HOLE + b"{more}", 199, ""),
        (b"{rows}\0{more}5940,\x00299\n", 199, "1 line with zeros in them left out"),
    ],
)
@pytest.mark.parametrize("form", ["csv", "lines", "gzip"])
def test_zeros_in_a_log_that_was_cut_are_no_text(
    tmp_path: Path, form: str, content: bytes, row_count: int, said: str
) -> None:
    rows = [f"{60 * n},{200 + n}\n".encode() for n in range(199)]
    content = content.replace(b"{rows}", b"".join(rows[:99])).replace(
        b"{more}", b"".join(rows[99:])
    )
    if form != "lines":
        hole = len(content) - len(content.lstrip(b"\0"))
        content = content[:hole] + b"time,rss_mib\n" + content[hole:]
    path = tmp_path / "figures"
    path.write_bytes(gzip.compress(content) if form == "gzip" else content)
    line = r"^(?P<time>\d+),(?P<rss>\d+)$" if form == "lines" else None
    run = ll.read(path, line=line, unit="MiB")
    assert len(run.data.samples) == row_count
    assert said in notes(run)
    assert run.verdict().verdict == "leak"


@pytest.mark.parametrize("content", [b"\0" * 100, HOLE, b"\0\1" * 5000, b"a\0b\0c\0" * 50])
def test_what_has_little_but_zeros_is_no_text(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "figures"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="a binary file of no format that is known"):
        ll.read(path)


def test_rows_with_more_fields_than_the_heading_are_told(tmp_path: Path) -> None:
    path = tmp_path / "figures.csv"
    rows = [f"{60 * n},{200 + n}{',7' if n > 30 else ''}" for n in range(40)]
    path.write_text("\n".join(["time,rss_mb", *rows]))
    run = ll.read(path)
    assert len(run.data.samples) == 31
    assert "left out: 9 rows of more fields: line 33 has 3 fields where there are 2" in notes(run)


def test_what_stands_behind_the_last_heading_is_told(tmp_path: Path) -> None:
    path = tmp_path / "figures.csv"
    path.write_text("\n".join(["time,rss_mb", *(f"{60 * n},{200 + n},50" for n in range(40))]))
    assert "left out: fields behind the last heading" in notes(ll.read(path, format="csv"))


def test_less_than_a_page_is_another_unit_and_no_bounded_process(tmp_path: Path) -> None:
    path = tmp_path / "figures.csv"
    path.write_text("\n".join(["time,rss_bytes", *(f"{60 * n},{200 + n}" for n in range(100))]))
    with pytest.raises(UsageError, match=r"rss_bytes of at most 299 B: .*which --unit says"):
        ll.read(path)
    entry = ll.read(path, unit="MiB").verdict().resource("rss_bytes")
    assert entry is not None
    assert entry.verdict == "leak"
