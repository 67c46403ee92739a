"""The line of an output that says why a program ended."""

from __future__ import annotations

import subprocess
import sys

import pytest

from leaklab.last_words import last_words

LATE = "import atexit, sys; atexit.register(lambda: print('connector: <late>', file=sys.stderr))\n"
IGNORED = """
class Late:
    def __del__(self):
        raise ValueError("in a finalizer")
keep = Late()
"""
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
