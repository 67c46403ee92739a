"""The end of a cell's recorder: waited for as long as it works, hurried by an interrupt."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
import time
from types import FrameType
from typing import Any, Self

from leaklab.jupyter.heard import Heard

# So often it is looked whether the recorder works, and said for how long it has.
LOOK_SECONDS = 1.0
# Of interrupts in a row: the first have the recorder leave out what is left, this one ends it.
PATIENCE_COUNT = 3
GIVE_UP_SECONDS = 5.0


class Ending:
    """Stands in for an interrupt of the kernel while a recorder is waited for.

    An exception could come between any two lines here, and the run and the recorder be lost.
    ``interrupted``: whether there was one; ``why_ended``: why the recorder was not waited for.
    """

    def __init__(self, recorder: subprocess.Popen[str], heard: Heard) -> None:
        self._recorder = recorder
        self._heard = heard
        self._interrupt_count = 0
        self._before: Any = None
        self.why_ended = ""

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *error: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    @property
    def interrupted(self) -> bool:
        """Whether somebody did not want to wait."""
        return self._interrupt_count > 0

    def hurry(self) -> None:
        """Ask the recorder to close its run with what it has."""
        if self._recorder.poll() is None:
            self._recorder.send_signal(signal.SIGINT)

    def give_up(self) -> None:
        """End a recorder that nobody has connected to, and so nobody hangs up on."""
        self.hurry()
        if not self._heard.ended(GIVE_UP_SECONDS):
            self._end("did not start")

    def wait(self) -> None:
        """Wait for the recorder's last word while it works; one that hangs is ended."""
        if self._heard.ended(LOOK_SECONDS):
            return
        from leaklab.recorder.graph import LONGEST_WAIT_SECONDS
        from leaklab.recorder.idleness import Idleness

        begun = time.monotonic()
        idleness = Idleness(self._recorder.pid, LOOK_SECONDS)
        line_count = self._heard.line_count
        while not self._heard.ended(LOOK_SECONDS):
            has_spoken = line_count != self._heard.line_count
            line_count = self._heard.line_count
            idle_seconds = idleness.seconds(is_active=has_spoken)
            if idle_seconds > 2 * LONGEST_WAIT_SECONDS:
                self._end(f"hung, idle for {idle_seconds:g} s")
            waited_seconds = LOOK_SECONDS + time.monotonic() - begun
            self._heard.show(f"the cell has ended, its recorder works on: {waited_seconds:.0f} s")

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._interrupt_count += 1
        if self._interrupt_count < PATIENCE_COUNT:
            self.hurry()
        else:
            self._end("was interrupted again and again")

    def _end(self, why: str) -> None:
        """Kill the recorder; what it has written by then is the run."""
        self.why_ended = self.why_ended or why
        with contextlib.suppress(ProcessLookupError):
            self._recorder.kill()
