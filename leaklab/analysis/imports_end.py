"""When a process had imported what it needs: the moment from which modules become rare.

Modules are looked for all the time at first, and now and then later. So the life of the process is
cut into parts, and the moment is the one at which the share of parts with imports changes most
probably (a change point of a Bernoulli series by maximum likelihood, told from none by the Bayesian
information criterion; Schwarz 1978). What imports ever more modules as it works has no such moment,
or has it before that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from leaklab.probe.imports import LEAST_SECONDS, PARTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Integers = NDArray[np.integer[Any]]


def imports_end(
    told_seconds: Sequence[float], started_seconds: float, over_seconds: float
) -> float | None:
    """Return the last of the first imports, in seconds of the pass; None where none stand out.

    told_seconds: when modules were looked for, rising (see leaklab.probe.imports). started_seconds,
    over_seconds: the life of the process.

        >>> imports_end([0.1, 0.4, 0.7, 1.0, 1.3, 8.0], started_seconds=0.0, over_seconds=20.0)
        1.3
    """
    if not len(told_seconds):  # asked again and again of all processes that have ended
        return None
    told = np.asarray(told_seconds, float)
    told = told[(told >= started_seconds) & (told <= over_seconds)]
    lived_seconds = over_seconds - started_seconds
    if not len(told) or lived_seconds <= 0:
        return None
    count = min(PARTS, int(lived_seconds / LEAST_SECONDS) + 1)
    part = ((told - started_seconds) / lived_seconds * count).astype(int).clip(0, count - 1)
    importing = np.cumsum((np.bincount(part, minlength=count) > 0).astype(np.int64))
    until, first = np.arange(1, count), importing[:-1]
    later = importing[-1] - first
    together = _likelihood(importing[-1:], np.array([count]))
    gained = _likelihood(first, until) + _likelihood(later, count - until) - together
    gained[first * (count - until) <= later * until] = -np.inf  # modules become rarer, not more
    if count < 2 or gained.max() <= np.log(count):
        return None
    return float(told[part < until[np.argmax(gained)]].max())


def _likelihood(hits: Integers, parts: Integers) -> NDArray[np.float64]:
    """The log-likelihood of so many hits in so many parts, at the share that explains it best."""
    misses = parts - hits
    found: NDArray[np.float64] = hits * _log(hits / parts) + misses * _log(misses / parts)
    return found


def _log(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logarithm; 0 for what is multiplied by nothing."""
    return np.log(np.where(shares > 0, shares, 1.0))
