"""The kernel's wait for a cell's recorder: for as long as that works, and no longer."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from leaklab.jupyter import ending
from leaklab.jupyter.ending import Ending
from leaklab.jupyter.heard import Heard
from leaklab.jupyter.in_kernel import what_ended
from leaklab.recorder import graph

SHOWS = (
    "import json\nprint('shown', json.dumps(['busy', '<svg/>']))\nprint('begun here', flush=True)"
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "LONGEST_WAIT_SECONDS", 0.1)
    monkeypatch.setattr(ending, "LOOK_SECONDS", 0.05)


@contextmanager
def recorder(
    *lines: str, shown: list[tuple[str, str]]
) -> Iterator[tuple[subprocess.Popen[str], Heard]]:
    with subprocess.Popen(
        [sys.executable, "-c", "\n".join((SHOWS, *lines))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        heard = Heard(process.stdout, lambda *what: shown.append(what))
        while heard.line_count < 2 and not heard.ended(0.01):
            pass
        yield process, heard


def test_a_recorder_that_works_is_waited_for_and_seen_to() -> None:
    shown: list[tuple[str, str]] = []
    works = "import time\nend = time.monotonic() + 1\nwhile time.monotonic() < end: pass"
    with recorder(works, "print('run here')", shown=shown) as (process, heard):
        with Ending(process, heard) as ended:
            ended.wait()
        assert (ended.why_ended, ended.interrupted) == ("", False)
        assert heard.last_line == "run here"
    assert shown[0] == ("busy", "<svg/>")
    assert "busy; the cell has ended, its recorder works on: " in shown[1][0]


def test_a_recorder_that_hangs_is_ended() -> None:
    with recorder("input()", shown=[]) as (process, heard):
        with Ending(process, heard) as ended:
            ended.wait()
        assert ended.why_ended.startswith("hung, idle for ")
        assert process.wait() == -signal.SIGKILL
        assert heard.last_line == "begun here"


def test_an_interrupt_hurries_the_recorder_and_raises_nothing() -> None:
    before = signal.getsignal(signal.SIGINT)
    hurries = "try:\n    input()\nexcept KeyboardInterrupt:\n    print('run here')"
    with recorder(hurries, shown=[]) as (process, heard):
        with Ending(process, heard) as ended:
            signal.raise_signal(signal.SIGINT)
            ended.wait()
        assert (ended.why_ended, ended.interrupted) == ("", True)
        assert heard.last_line == "run here"
    assert signal.getsignal(signal.SIGINT) is before


def test_who_interrupts_again_and_again_is_not_kept_waiting() -> None:
    ignores = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint(flush=True)"
    with recorder(ignores, "while True: pass", shown=[]) as (process, heard):
        with Ending(process, heard) as ended:
            for _ in range(ending.PATIENCE_COUNT):
                signal.raise_signal(signal.SIGINT)
            ended.wait()
        assert ended.why_ended == "was interrupted again and again"
        assert process.wait() in (-signal.SIGKILL, -signal.SIGINT)


def test_a_cell_that_did_not_import_mark_is_told_how() -> None:
    with pytest.raises(NameError) as raised:
        eval("mark()", {})
    assert what_ended(raised.value).endswith("; it takes 'from leaklab import mark'")
    assert what_ended(NameError("x", name="x")) == "raised NameError: x"
