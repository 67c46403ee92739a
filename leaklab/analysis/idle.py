"""The end of a series in which its process hardly worked: what rests then may rest for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leaklab.analysis.series import resource_series
from leaklab.resources import CPU

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leaklab.store import RunData

    Floats = NDArray[np.float64]

# Below this share of its usual use of the processor a process is idle.
IDLE_SHARE = 0.1
# An idle end this long, and twice as long as any pause before it, is no pause.
LEAST_IDLE_SHARE = 0.05
PAUSES = 2.0
_LEAST_FIGURES = 3
# Of work that took no more figures than this nothing is said: it may be a start.
_LEAST_WORK = 10


def cpu_of(data: RunData, role: str) -> tuple[Floats, Floats]:
    """Return when the use of the processor was told, and how much that was; empty for never."""
    series = resource_series(data, CPU, role=role)
    if series.attrs["unit"] != "second":
        return np.empty(0), np.empty(0)
    return series["x"].to_numpy(np.float64), series["value"].to_numpy(np.float64)


def busy_count(x: Floats, seconds: Floats, cpu: Floats) -> int:
    """Return how many of the points x lie before an idle end, told by the use of the processor.

    All of them where the processor's use is not known, or the process worked up to the end.
    """
    usual = float(np.quantile(cpu, 0.75)) if len(cpu) else 0.0
    return _before_idle(x, seconds, cpu, usual)


def worked_count(x: Floats, seconds: Floats, cpu: Floats) -> int:
    """Return what `busy_count` does, also where most of the time was idle.

    Then nobody can say what is usual: the work is taken for that of its busiest time.
    """
    usual = float(np.sort(cpu)[-_LEAST_WORK]) if len(cpu) >= _LEAST_WORK else 0.0
    return _before_idle(x, seconds, cpu, usual)


def _before_idle(x: Floats, seconds: Floats, cpu: Floats, usual: float) -> int:
    busy = np.flatnonzero(cpu > max(IDLE_SHARE * usual, min(_step(cpu), usual / 2)))
    if usual <= 0 or len(busy) < _LEAST_FIGURES:
        return len(x)
    last = float(seconds[busy[-1]])
    idle = float(seconds[-1]) - last
    longest = float(np.max(np.diff(seconds[busy])))
    if idle < LEAST_IDLE_SHARE * (seconds[-1] - seconds[0]) or idle < PAUSES * longest:
        return len(x)
    return int(np.searchsorted(x, last, side="right"))


def _step(cpu: Floats) -> float:
    """A little more than the least use that is told, where less than that is told as none: the
    kernel counts ticks, and one of them now and then is no work."""
    used = cpu[cpu > 0]
    return 1.5 * float(used.min()) if 0 < len(used) < len(cpu) else 0.0
