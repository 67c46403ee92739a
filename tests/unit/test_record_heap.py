"""Stack numbers, file names, snapshot spacing: what the heap stream does without a target."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

import leaklab
from leaklab.errors import LeaklabError
from leaklab.probe import marker
from leaklab.recorder.heap import reader as heap_reader
from leaklab.recorder.heap.helpers import Helper
from leaklab.recorder.heap.stream import SourcePaths, StackTable


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


def test_leaklabs_own_files_are_nobody_elses_and_its_cases_are_targets() -> None:
    package = Path(leaklab.__file__).parent
    # As from a clone of it, with the script at its top.
    paths = SourcePaths(str(package.parent), source_folder=str(package.parent))
    own = paths.name(str(package / "jupyter" / "magics.py"))
    assert own == ("site-packages/leaklab/jupyter/magics.py", "leaklab")
    assert paths.name(str(package / "cases" / "timers" / "target.py"))[1] == "target"


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


def test_what_repeats_a_test_is_no_suspect_and_what_it_calls_is() -> None:
    caller = ("__enter__", "/venv/leaklab/pytest_plugin/inside/leaklab_calls.py", 34)
    test = ("test_grows", "/src/test_app.py", 5)
    assert heap_reader.is_of_plugin([caller, test])
    assert not heap_reader.is_of_plugin([test, caller])
    assert not heap_reader.is_of_plugin([])


def test_a_helper_that_was_closed_while_a_thread_asks_it_is_lost_in_one_line() -> None:
    """The thread that follows a heap is still at work when the recorder is asked to end."""
    helper = Helper("heap reader", ["-c", "pass"], 1)
    helper.close()
    for ask in (helper.lines[0].reply, helper.lines[0].check):
        with pytest.raises(LeaklabError, match="was ended with its pass"):
            ask()
    assert not helper.is_alive
