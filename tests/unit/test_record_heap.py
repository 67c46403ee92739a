"""Stack numbers, file names, snapshot spacing: what the heap stream does without a target."""

from __future__ import annotations

import itertools

import pytest

from leaklab.probe import marker
from leaklab.recorder.heap import reader as heap_reader
from leaklab.recorder.heap.stream import SnapshotSchedule, SourcePaths, StackTable


def test_reader_and_probe_agree_on_the_marker() -> None:
    assert heap_reader.MARKER_FUNCTION == marker.FUNCTION
    assert heap_reader.MARKER_STEP_BYTES == marker.STEP_BYTES


def test_marker_sizes_stay_apart_and_below_the_mmap_threshold() -> None:
    sizes = [marker.marker_bytes(number) for number in range(marker.COUNT)]
    gaps = {later - earlier for earlier, later in itertools.pairwise(sizes)}
    assert gaps == {marker.STEP_BYTES}
    assert max(sizes) + marker.STEP_BYTES < 128 * 1024
    assert marker.marker_bytes(marker.COUNT) == marker.marker_bytes(0)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("/srv/app/cache.py", ("cache.py", "target")),
        ("/srv/app/pkg/cache.py", ("pkg/cache.py", "target")),
        ("/home/me/lib/tool.py", ("~/lib/tool.py", "target")),
        ("/opt/other.py", ("/opt/other.py", "target")),
        (
            "/v/lib/python3.12/site-packages/httpx/_client.py",
            ("site-packages/httpx/_client.py",) * 1,
        ),
        ("/usr/lib/python3.12/json/decoder.py", ("stdlib/json/decoder.py", "stdlib")),
        ("<frozen importlib._bootstrap>", ("stdlib/frozen importlib._bootstrap", "stdlib")),
        ("/usr/lib/libssl.so.3", ("libssl.so.3", "native")),
        ("<string>", ("<string>", "target")),
    ],
)
def test_files_are_named_so_that_a_run_can_be_moved(file: str, expected: tuple[str, ...]) -> None:
    paths = SourcePaths("/srv/app", home="/home/me")
    assert paths.name(file)[: len(expected)] == expected


def test_the_same_stack_of_two_processes_has_one_number() -> None:
    table, paths = StackTable(), SourcePaths("/srv/app")
    stack = [("build", "/srv/app/a.py", 3), ("main", "/srv/app/a.py", 9)]
    first = table.add("malloc", stack, paths)
    assert table.add("malloc", [tuple(frame) for frame in stack], paths) == first
    assert table.add("mmap", stack, paths) != first
    rows = table.new_rows()
    assert rows["frames"]["function"] == ["build", "main"]
    assert rows["stacks"]["frame_ids"] == [(0, 1), (0, 1)]
    assert table.new_rows()["stacks"]["stack_id"] == []
    assert table.target_files == {"a.py": "/srv/app/a.py"}


def taken_at(
    mark_count: int, mark_seconds: float, cost_seconds: float, expected: int | None = None
) -> list[int]:
    """Return the marks at which snapshots fall due in a run with this pace and price."""
    schedule, now, taken = SnapshotSchedule(share=0.1), 0.0, []
    for mark in range(1, mark_count + 1):
        now += mark_seconds
        if schedule.due(now, mark, expected):
            schedule.spent(cost_seconds, mark)
            now += cost_seconds
            taken.append(mark)
    return taken


@pytest.mark.parametrize("mark_count", [120, 200, 1_000, 100_000])
def test_a_quick_run_is_covered_to_its_end(mark_count: int) -> None:
    taken = taken_at(mark_count, mark_seconds=0.0003, cost_seconds=0.004)
    assert len(taken) >= 30
    assert taken[-1] > 0.8 * mark_count
    assert sum(mark > mark_count / 2 for mark in taken) >= 4


def test_a_long_run_costs_its_share_and_has_a_bounded_number_of_snapshots() -> None:
    taken = taken_at(1_000_000, mark_seconds=0.01, cost_seconds=0.05)
    assert 300 < len(taken) < 2_000
    assert len(taken) * 0.05 <= 0.1 * 1_000_000 * 0.01


def test_expensive_snapshots_become_rare() -> None:
    taken = taken_at(1_000, mark_seconds=0.05, cost_seconds=2.0)
    assert 8 <= len(taken) <= 25


@pytest.mark.parametrize("duration_seconds", [3.0, 8.0, 20.0, 60.0])
def test_without_marks_the_end_of_a_run_is_covered_as_well(duration_seconds: float) -> None:
    schedule, now, taken = SnapshotSchedule(share=0.1), 1.0, []
    while now < duration_seconds:
        if schedule.due(now):
            schedule.spent(0.06)
            now += 0.06
            taken.append(now)
        now += 0.1
    assert len(taken) >= 12
    times = [1.0, *taken, duration_seconds]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert max(gaps) <= 0.15 * duration_seconds


@pytest.mark.parametrize("mark_count", [34, 200, 5_000])
def test_where_the_number_of_marks_is_known_the_end_is_covered_as_well(mark_count: int) -> None:
    taken = taken_at(mark_count, 0.0001, cost_seconds=0.06, expected=mark_count)
    assert sum(mark > mark_count / 2 for mark in taken) >= 8
    assert len(taken) <= 50
    longer = taken_at(20 * mark_count, 0.0001, cost_seconds=0.06, expected=mark_count)
    assert longer[-1] > 0.8 * 20 * mark_count


def test_without_marks_only_the_share_counts() -> None:
    schedule, spent = SnapshotSchedule(share=0.1), 0.0
    for step in range(10_000):
        if schedule.due(step * 0.01):
            schedule.spent(0.5)
            spent += 0.5
    assert 5.0 < spent <= 0.1 * 100.0
