"""Growth that slows down: a warm-up that levels off, or a leak behind the rest of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leaklab.verdict.events import (
    CLEAN_SHARE,
    EVENT_BINS,
    LAPLACE_LOWEST,
    evenly,
    events,
    given_back,
    step_count,
)
from leaklab.verdict.growth import BIN_COUNT, Growth, floors, slope_error, theil_sen

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Late by early rate under which growth slows down, and above which its later part is steady.
SLOWING_RATIO = 0.75
STEADY_RATIO = 0.85
# A series that is hardly ever given back and rises at nearly every point has no noise to allow
# for.
EXACT_RATIO = 0.95
EXACT_BACK = 0.01
EXACT_SHARE = 0.6
EXACT_STEPS = 10
# Growth that is projected to end within this share of what was gained has as good as stopped.
REMAINING_SHARE = 0.1
# Fine-grained growth that falls under this share of its mean pace in the last share of the run.
TAIL_SHARE = 0.1
TAIL_PACE = 0.2
FINE_SHARE = 0.6
OFTEN_SHARE = 0.8


def slows(growth: Growth, gains: Floats, whole_gain: float) -> tuple[bool, float]:
    """Whether the rate declines and goes on declining, and late by early rate.

    A remainder of warm-up in front of a leak declines as well, but what follows it is steady: so
    the first quarter and half are left out in turn.
    """
    # The change point cuts a smooth curve anywhere: at least the last half of the run is looked at.
    recent_x, recent_y = recent(growth)
    floor_x, floor_y = floors(recent_x, recent_y, BIN_COUNT)
    back = given_back(recent_y)
    clean = back <= CLEAN_SHARE
    # By seconds the pace of the work itself wanders: then a falling rate says less.
    exact = back <= EXACT_BACK and growth.unit == "iteration"
    exact = exact and step_count(floor_y) >= max(EXACT_SHARE * len(floor_y), EXACT_STEPS)
    # Growth that is little beside the warm-up before it may be its tail: no benefit of the doubt.
    doubtful = growth.total < REMAINING_SHARE * whole_gain
    every_less = doubtful or exact or (len(gains) >= 4 and (np.diff(gains) < 0).mean() >= 0.8)
    # Three points tell nothing of noise; fine growth that is never given back has none.
    fine = clean and step_count(evenly(growth)) >= FINE_SHARE * EVENT_BINS
    overall = float("nan")
    limits = (EXACT_RATIO,) * 3 if exact else (SLOWING_RATIO, STEADY_RATIO, STEADY_RATIO)
    for skip, steady in zip((0.0, 0.25, 0.5), limits, strict=True):
        after = floor_x >= floor_x[0] + skip * (floor_x[-1] - floor_x[0])
        x, y = floor_x[after], floor_y[after]
        middle = int(np.searchsorted(x, (x[0] + x[-1]) / 2))
        if min(middle + 1, len(x) - middle) < 3:
            break
        halves = (slice(middle + 1), slice(middle, None))
        early, late = (theil_sen(x[half], y[half]) for half in halves)
        errors = [slope_error(x[half], y[half])[0] for half in halves]
        error = float(np.hypot(errors[0], errors[1]))
        if fine and not np.isfinite(error):
            error = 0.0
        if not np.isfinite(overall):
            overall = late / early if early > 0 else float("inf")
        if late >= steady * early or (early - late < 2 * error and not every_less):
            part = growth.whole_x >= x[0]
            laplace = events(growth.whole_x[part], growth.whole_y[part])[1]
            if not clean or laplace >= LAPLACE_LOWEST:
                return False, overall
    return bool(np.isfinite(overall)), overall


def recent(growth: Growth) -> tuple[Floats, Floats]:
    """What followed the baseline, or the last half of the run where that is longer."""
    begin = min(growth.baseline_x, growth.end_x - growth.run_span / 2)
    later = growth.whole_x >= begin
    return growth.whole_x[later], growth.whole_y[later]


def still_to_come(growth: Growth, ratio: float, whole_gain: float) -> tuple[float, float]:
    """What a slowing curve has still to come, and how much longer to record until that is little.

    Growth that falls by the same ratio in every half as long as the last has a limit: the sum of
    a geometric series. The second figure is 0 where little is to come already.
    """
    x, y = recent(growth)
    gained = float(y[-1] - y[0])
    little = REMAINING_SHARE * max(whole_gain, gained)
    share = min(max(ratio, 0.0), 0.99)
    remaining = gained * share / (1 + share) * share / (1 - share)
    if remaining <= little:
        return remaining, 0.0
    halves = np.log(little / remaining) / np.log(max(share, 1e-3))
    return remaining, max(float((x[-1] - x[0]) / 2 * halves), growth.run_span / 4)


def ends_flat(growth: Growth) -> bool:
    """Whether fine-grained growth all but ended at the last points, too few to judge alone.

    Snapshots can be so rare at the end of a run that one interval is all that follows a bend.
    """
    often = float(np.mean(np.diff(growth.y) > 0)) >= OFTEN_SHARE
    fine = often or step_count(evenly(growth)) >= FINE_SHARE * EVENT_BINS
    if given_back(growth.y) > CLEAN_SHARE or not fine:
        return False
    begin = (
        int(np.searchsorted(growth.x, growth.end_x - TAIL_SHARE * growth.span, side="right")) - 1
    )
    tail = growth.x[-1] - growth.x[begin]
    gained = float(growth.y[-1] - growth.y[begin])
    mean = float(growth.y[-1] - growth.y[0]) / growth.span
    return bool(tail > 0 and gained < TAIL_PACE * mean * tail)
