"""A sawtooth that comes again with the time of day: a process that is restarted then, or a store
that is emptied. The series alone does not say which, so nobody may call it bounded."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# A fall goes through this share of the course from one figure to the next.
_LEAST_SHARE = 0.5
_LEAST_FALLS = 2
# By the clock: from fall to fall it takes the same time, but for this share of it. Workers that are
# replaced by their requests make a course by chance.
_LARGEST_JITTER = 0.1
# What climbs all the time between two falls has in each quarter of it at least this share of its
# mean pace: what fills up, or is there at some hours only, stands still in one.
_QUARTERS = 4
_LEAST_PACE_SHARE = 0.25


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

    None where they fall slowly, as a day's load does, at no regular times, or do not climb all the
    time in between.
    """
    moves = np.diff(y)
    places = np.flatnonzero(-moves > _LEAST_SHARE * course) if course > 0 else np.empty(0, int)
    if len(places) < _LEAST_FALLS:
        return None
    spans = np.diff(x[places])
    every = float(np.median(spans))
    if float(np.median(np.abs(spans - every))) > _LARGEST_JITTER * every:
        return None
    quarters, paces = [], []
    for begin, end in pairwise((places + 1).tolist()):
        if end - begin >= 2 * _QUARTERS:
            means = [part.mean() for part in np.array_split(y[begin:end], _QUARTERS)]
            quarters.append(np.diff(means))
            paces.append(float(np.polyfit(x[begin:end] - x[begin], y[begin:end], 1)[0]))
    if not quarters:
        return None
    climbs = np.median(quarters, axis=0)
    if not climbs.mean() > 0 or climbs.min() < _LEAST_PACE_SHARE * climbs.mean():
        return None
    height = float(np.median(-moves[places]))
    return Falls(len(places), height, every, float(np.median(paces)))
