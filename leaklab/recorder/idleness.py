"""Tells processes that work from such as only wait: by the processor they use, or want."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import psutil

# Of a processor: what a process that waits in a loop of its own (a poll each 10 ms takes 0.01 to
# 0.02) may use, and sleep all the same. One that works takes all it can get.
QUIET_SHARE = 0.05


# Who is in one of these waits for the machine and not for somebody else.
_WORKS = frozenset({psutil.STATUS_RUNNING, psutil.STATUS_DISK_SLEEP, psutil.STATUS_WAKING})


def activity(pids: Iterable[int]) -> tuple[float, set[str]]:
    """Return the processor time that processes have used so far, and the states they are in."""
    total = 0.0
    states: set[str] = set()
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            times = process.cpu_times()
            total += times.user + times.system
            states.add(process.status())
    return total, states


def with_descendants(pid: int) -> list[int]:
    """Return a process and all that it and its children have started, as they are now."""
    pids = [pid]
    with contextlib.suppress(psutil.Error):
        pids += [child.pid for child in psutil.Process(pid).children(recursive=True)]
    return pids


class Idleness:
    """For how long a process and those it has started have not worked.

    Looks are counted, ``look_seconds`` apart, and not seconds: a machine that was stopped for a
    while (suspended, or its control group frozen) does not make them idle. Who waits for the
    processor or the disk works: on a busy machine that may take long.
    """

    def __init__(self, pid: int, look_seconds: float) -> None:
        self._pid = pid
        self._look_seconds = look_seconds
        self._idle_look_count = 0
        self._busy_seconds: float | None = None

    def seconds(self, *, is_active: bool = False) -> float:
        """Look once more; ``is_active``: there is other evidence that it works."""
        pids = with_descendants(self._pid)
        before, (self._busy_seconds, states) = self._busy_seconds, activity(pids)
        # A process that has ended takes its time with it.
        used_seconds = 0.0 if before is None else abs(self._busy_seconds - before)
        works = bool(states & _WORKS) or used_seconds > QUIET_SHARE * self._look_seconds
        self._idle_look_count = 0 if works or is_active else self._idle_look_count + 1
        return self._idle_look_count * self._look_seconds
