"""What asks a recording to stop, such as Ctrl-C: counted when it arrives, heeded where it is safe.

An exception raised by a signal handler can come between any two lines: inside a write to the
store, or after the last point at which the recorder still catches it, and a run is lost.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, Self

from leaklab.end_signals import END_SIGNALS, is_free

# Whoever asks that often wants the recorder itself to stop, whatever is lost by it.
PATIENCE_COUNT = 3


class Interruption:
    """How often this process was asked to stop since the recording began.

    In the main thread it stands in for the handler of SIGINT, and for those of SIGTERM and SIGHUP
    where the process has no other plan for them, until it is left. One that is ignored stays so.
    """

    def __init__(self) -> None:
        self.count = 0
        self._at_once = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            interrupt = signal.getsignal(signal.SIGINT)
            if callable(interrupt) or interrupt is signal.SIG_DFL:
                self._before[signal.SIGINT] = signal.signal(signal.SIGINT, self._asked)
            for number in filter(is_free, END_SIGNALS):
                self._before[number] = signal.signal(number, self._asked)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Let the first signal raise KeyboardInterrupt: around what only computes."""
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def _asked(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self._at_once or self.count >= PATIENCE_COUNT:
            raise KeyboardInterrupt
