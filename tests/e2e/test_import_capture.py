"""Captures written by the real memray become runs that are judged like our own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import memray
import pytest

from leaklab.errors import LeaklabError, UsageError
from leaklab.recorder.captures.capture import import_capture
from leaklab.store import RunData, open_run
from leaklab.verdict.judge import judge

TARGET = """
import os, sys, time

kept = []

def keep():
    kept.append(bytes(100_000))

def main():
    for _ in range(60):
        keep()
        time.sleep(0.01)
    if "fork" in sys.argv and os.fork() == 0:
        main_in_child()
    if "fork" in sys.argv:
        os.wait()
    if "die" in sys.argv:
        os.kill(os.getpid(), 9)

def main_in_child():
    for _ in range(30):
        keep()
        time.sleep(0.01)
    sys.exit()

main()
"""


def record(folder: Path, *options: str, arguments: tuple[str, ...] = ()) -> Path:
    (folder / "target.py").write_text(TARGET)
    command = ["-m", "memray", "run", "-q", *options, "-o", "capture.bin", "target.py", *arguments]
    subprocess.run([sys.executable, *command], cwd=folder, check=False, timeout=60)
    return folder / "capture.bin"


def imported(capture: Path, folder: Path) -> RunData:
    return open_run(import_capture(capture, store=str(folder / "store")))


def test_a_plain_capture_names_the_line_that_grows(tmp_path: Path) -> None:
    data = imported(record(tmp_path, "--trace-python-allocators"), tmp_path)
    verdict = judge(data)
    assert verdict.verdict == "leak"
    assert verdict.suspects.iloc[0]["function"] == "keep"
    assert data.snapshots["live_bytes"].max() > 59 * 100_000
    assert data.meta["processes"][0]["note"] is None
    totals = data.heap.groupby("stack_id")["live_bytes"].last().sum()
    assert totals == data.snapshots["live_bytes"].iloc[-1]


def live_bytes_by_sample(capture: Path) -> dict[float, int]:
    """Live bytes at each of memray's samples, by its own reader: milliseconds since the start."""
    reader = memray.FileReader(capture)
    started = round(reader.metadata.start_time.timestamp() * 1000)
    return {sample.time - started: sample.heap for sample in reader.get_memory_snapshots()}


@pytest.mark.parametrize("option", ["--trace-python-allocators", "--no-compress", "--native"])
def test_the_heap_is_what_memray_says_at_each_of_its_samples(tmp_path: Path, option: str) -> None:
    capture = record(tmp_path, option)
    expected = live_bytes_by_sample(capture)
    data = imported(capture, tmp_path)
    times = (data.snapshots["time_seconds"] * 1000).round()
    found = dict(zip(times, data.snapshots["live_bytes"], strict=True))
    assert found == {key: expected[key] for key in found}
    assert len(found) > 30


def test_childrens_files_come_along_as_processes(tmp_path: Path) -> None:
    data = imported(record(tmp_path, "--follow-fork", arguments=("fork",)), tmp_path)
    assert [process["role"] for process in data.meta["processes"]] == ["main", "fork of main"]
    grown = data.snapshots.groupby("process")["live_bytes"].agg(lambda live: live.max())
    assert grown[1] > 29 * 100_000


def test_a_capture_of_a_killed_process_says_so(tmp_path: Path) -> None:
    data = imported(record(tmp_path, arguments=("die",)), tmp_path)
    assert "not closed" in data.meta["processes"][0]["note"]
    assert judge(data).verdict == "leak"


def test_an_aggregated_capture_has_heaps_but_no_verdict(tmp_path: Path) -> None:
    data = imported(record(tmp_path, "--aggregate"), tmp_path)
    assert "no history" in data.meta["processes"][0]["note"]
    # Once: a line that was there at the high-water mark, too, is not live twice.
    (live,) = data.snapshots["live_bytes"]
    assert live > 59 * 100_000
    verdict = judge(data)
    heap = verdict.resource("heap_bytes")
    assert heap is not None
    assert heap.verdict == "inconclusive"
    assert "record without --aggregate" in heap.reason
    # Resident memory has a history all the same.
    assert verdict.resource("rss_bytes") is not None


def test_a_foreign_file_and_a_missing_one_get_one_line(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.bin"
    foreign.write_bytes(b"no capture" * 1000)
    with pytest.raises(LeaklabError, match=r"not a capture file memray .*foreign\.bin"):
        import_capture(foreign, store=str(tmp_path / "store"))
    with pytest.raises(UsageError, match=r"no capture file: .*missing"):
        import_capture(tmp_path / "missing.bin", store=str(tmp_path / "store"))
    assert not (tmp_path / "store").exists()


def test_a_truncated_capture_gives_what_it_holds(tmp_path: Path) -> None:
    capture = record(tmp_path, "--trace-python-allocators", arguments=("die",))
    whole = capture.read_bytes().rstrip(b"\0")
    capture.write_bytes(whole[: len(whole) // 2])
    data = imported(capture, tmp_path)
    assert "not closed" in data.meta["processes"][0]["note"]
    assert data.snapshots["live_bytes"].max() > 0
