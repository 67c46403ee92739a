"""A sawtooth that comes again with the time of day, or that warms up anew each time: a process that
is restarted then, or a store that is emptied. The series alone does not say which, so nobody may
call it bounded."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# A fall goes through this share of the course, or of all that was there, from one figure to the
# next.
_LEAST_SHARE = 0.5
_LEAST_FALLS = 2
# By the clock: from fall to fall it takes the same time, but for this share of it. Workers that are
# replaced by their requests make a course by chance.
_LARGEST_JITTER = 0.1
# What climbs all the time between two falls has in each quarter of it at least this share of its
# mean pace: what fills up, or is there at some hours only, stands still in one.
_QUARTERS = 4
_LEAST_PACE_SHARE = 0.25
# A process that was started again climbs faster in this part of its life, so many times as fast as
# afterwards. What a collector clears fills up at one pace.
_START_SHARE = 0.125
_LEAST_START_PACE = 2.0


@dataclass(frozen=True)
class Falls:
    """count of falls, by about ``height``, about ``every_seconds``; pace: growth a second between
    them."""

    count: int
    height: float
    every_seconds: float
    pace: float


def falls_of(x: Floats, y: Floats, course: float) -> Falls | None:
    """Return the falls of figures at x, of which ``course`` is the range by the time of day.

    Without a course (0) those that give back most of what was there, after which it warms up. None
    where they fall slowly, as a day's load does, at no regular times, or do not climb all the time
    in between.
    """
    moves = np.diff(y)
    least = _LEAST_SHARE * (course or float(y.max(initial=0.0)))
    places = np.flatnonzero(-moves > least) if least > 0 else np.empty(0, int)
    if len(places) < _LEAST_FALLS:
        return None
    spans = np.diff(x[places])
    every = float(np.median(spans))
    regular = float(np.median(np.abs(spans - every))) <= _LARGEST_JITTER * every
    quarters, paces, starts = [], [], []
    for begin, end in pairwise((places + 1).tolist()):
        if end - begin >= 2 * _QUARTERS:
            means = [part.mean() for part in np.array_split(y[begin:end], _QUARTERS)]
            quarters.append(np.diff(means))
            paces.append(float(np.polyfit(x[begin:end] - x[begin], y[begin:end], 1)[0]))
            starts.append(_start_pace(x[begin:end], y[begin:end]))
    if not quarters or not (regular if course else np.median(starts) > _LEAST_START_PACE):
        return None
    climbs = np.median(quarters, axis=0)
    if not climbs.mean() > 0 or climbs.min() < _LEAST_PACE_SHARE * climbs.mean():
        return None
    height = float(np.median(-moves[places]))
    return Falls(len(places), height, every, float(np.median(paces)))


def _start_pace(x: Floats, y: Floats) -> float:
    """How many times as fast y climbs at its start as it does afterwards."""
    at = int(np.searchsorted(x, x[0] + _START_SHARE * (x[-1] - x[0])))
    early, late = y[at] - y[0], y[-1] - y[at]
    if not late > 0:
        return float("inf") if early > 0 else 0.0
    return float(early / late * (x[-1] - x[at]) / (x[at] - x[0]))
