"""The line of an output that says why a program ended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from leaklab.last_words import last_report, last_words, ran_out
from leaklab.recorder import output
from leaklab.recorder.pass_result import PassResult

LATE = "import atexit, sys; atexit.register(lambda: print('connector: <late>', file=sys.stderr))\n"
IGNORED = """
class Late:
    def __del__(self):
        raise ValueError("in a finalizer")
keep = Late()
"""
RAISED = "asked\nTraceback (most recent call last):\n  File x\nOSError: why\n"
LATE_LINE = "Unclosed connector: <late>"
GROUP = """
import asyncio
async def work():
    raise ValueError("of a task")
async def main():
    async with asyncio.TaskGroup() as group:
        group.create_task(work())
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("raise OSError(24, 'Too many open files')", "OSError: [Errno 24] Too many open files"),
        (LATE + "open('/nowhere')", "FileNotFoundError: [Errno 2] No such file or directory: "),
        (IGNORED + "raise KeyError('why')", "KeyError: 'why'"),
        ("try:\n    1/0\nexcept Exception as e:\n    raise LookupError('a\\nb: c') from e",
         "LookupError: a"),
        (GROUP, "ValueError: of a task"),
        ("def f():\n    class Own(Exception): pass\n    raise Own\nf()", "f.<locals>.Own"),
        ("raise SystemExit('no such setting')", "no such setting"),
        ("", ""),
    ],
    ids=["raised", "torn down", "finalizer", "chained", "group", "no message", "exit", "nothing"],
)  # fmt: skip
def test_what_was_raised_is_said_and_not_what_came_later(program: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    found = last_words(done.stderr)
    assert found.startswith(said)
    assert bool(found) == bool(said)


def test_a_traceback_without_its_end_leaves_the_last_line() -> None:
    assert last_words("Traceback (most recent call last):\n  File 'x'\n    call()") == "call()"
    assert last_words(None) == ""


DUMP = """said before
Fatal Python error: Segmentation fault

Thread 0x00007fd2f53986c0 (most recent call first):
  File "threading.py", line 982 in run

Current thread 0x00007fd2f5e3bb80 (most recent call first):
  File "test_app.py", line 3 in test_ends
  File "pluggy/_execution.py", line 147 in _multicall
  File "pytest/__main__.py", line 9 in <module>

Extension modules: memray._memray (total: 1)
"""


def test_of_what_a_signal_ended_the_error_and_the_innermost_calls_are_quoted() -> None:
    assert last_words("Traceback (most recent call last):\nOSError: before\n" + DUMP) == (
        "Fatal Python error: Segmentation fault"
    )
    assert last_report(DUMP, 3) == [
        "Fatal Python error: Segmentation fault",
        "Current thread 0x00007fd2f5e3bb80 (most recent call first):",
        '  File "test_app.py", line 3 in test_ends',
    ]
    assert last_report("one\ntwo\nthree", 2) == ["two", "three"]
    assert last_report(None, 2) == []


@pytest.mark.parametrize(("later_seconds", "is_kept"), [(0.5, True), (60.0, False)])
def test_a_long_teardown_does_not_bury_what_was_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later_seconds: float, is_kept: bool
) -> None:
    now = [100.0]
    monkeypatch.setattr("leaklab.recorder.output.time.monotonic", lambda: now[0])
    written = output.OutputFile(tmp_path / "stderr")
    try:
        for text in (RAISED, "Unclosed connector: <late>\n" * 2000):
            os.write(written.descriptor, text.encode())
            written.follow()
            now[0] += later_seconds
        assert last_words(written.tail) == ("OSError: why" if is_kept else LATE_LINE)
        assert len(written.tail) <= 3 * output.TAIL_SIZE
    finally:
        written.close()


def test_a_warning_is_quoted_by_its_text_not_by_the_line_that_gave_it() -> None:
    text = "/x/tracker.py:254: UserWarning: 41 leaked objects\n  warnings.warn('%d leaked'\n"
    assert last_words(text) == "UserWarning: 41 leaked objects"


@pytest.mark.parametrize(
    ("said", "ran"),
    [
        ("MemoryError", True),
        ("RuntimeError: can't start new thread", True),
        ("OSError: [Errno 24] Zu viele offene Dateien: 'x'", True),
        ("BlockingIOError: [Errno 11] Resource temporarily unavailable", True),
        ("OSError: [Errno 28] No space left on device", True),
        ("OSError: [Errno 98] Address already in use", False),
        ("RuntimeError: no such job", False),
    ],
)
def test_the_end_of_what_leaks_take_is_what_another_pass_tells_more_of(
    said: str, ran: bool
) -> None:
    """Not a failure at the start, after which the explain pass would be recorded for nothing."""
    text = f"Traceback (most recent call last):\n  File …\n{said}\n"
    assert ran_out(text) == ran
    row = {"exit_status": 1, "stopped_by": None, "stderr_tail": text}
    result = PassResult([row], [{"mark_count": 0}], None, True, {}, {})
    assert result.failed_status == (None if ran else 1)
