"""Being asked to end from outside: what Ctrl-C does, for the signals of schedulers and terminals.

cron, Airflow, Kubernetes and CI end a process with SIGTERM, a terminal that closes with SIGHUP. By
default both end Python on the spot: the kernel of a notebook and the target in it would go on.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Windows has no terminal that says so.
END_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class AskedToEndError(KeyboardInterrupt):
    """Another signal than Ctrl-C's asks for the same. ``number``: which."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.number = number


def exit_status(interrupt: KeyboardInterrupt) -> int:
    """Return what a shell says of who is ended by that signal: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + getattr(interrupt, "number", signal.SIGINT)


@contextmanager
def as_interrupts() -> Iterator[None]:
    """Have SIGTERM and SIGHUP raise AskedToEndError, where the process has no plan for them.

    Once: what follows from it is the end that was asked for, and is not to be cut short by a
    sender who repeats himself. One that is ignored (``nohup``) stays ignored.
    """
    taken = []
    if threading.current_thread() is threading.main_thread():
        taken = [number for number in END_SIGNALS if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, _raise_once)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def is_free(number: int) -> bool:
    """Say whether the process has no plan for a signal but the default one, or this module's."""
    return signal.getsignal(number) in (signal.SIG_DFL, _raise_once)


def _raise_once(number: int, frame: FrameType | None) -> None:
    for one in END_SIGNALS:
        if signal.getsignal(one) is _raise_once:
            signal.signal(one, _ending)
    raise AskedToEndError(number)


def _ending(number: int, frame: FrameType | None) -> None:
    """Not SIG_IGN, which every process started meanwhile would inherit."""
