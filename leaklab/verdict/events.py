"""Series made of events: steps that stay, counted, and whether they keep coming."""

from __future__ import annotations

from math import comb
from typing import TYPE_CHECKING

import numpy as np

from leaklab.verdict.growth import BIN_COUNT, floors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leaklab.verdict.growth import Growth

    Floats = NDArray[np.float64]

# A series that gives back at most this share of what it takes is made of events, not of noise.
CLEAN_SHARE = 0.1
# Steps a growing series must be made of, at least: fewer are a warm-up, however they are spread.
MINIMUM_STEPS = 5.5
# Events at a constant rate: the Laplace statistic must not fall below this, and the silence after
# the last one must not exceed this many mean intervals (a chance of 3 % each).
LAPLACE_LOWEST = -1.88
SILENCE_INTERVALS = 3.5
# More events than this would only find slowing that does not matter.
MOST_EVENTS = 100
# A move counts for at most so many usual ones.
LARGE_STEP = 3.0
# Events close together count as one: so many bins are looked at.
EVENT_BINS = 40
# Moves slower than this share of the usual one are noise where the moves are counted.
MOVE_SHARE = 0.1
# A lull of the last half that chance alone brings this rarely is none.
LULL_CHANCE = 0.03
FEW_INTERVALS = 8
# The last part of the run must bring at least this share of the growth, by part.
LATE_SHARES = {0.5: 0.15, 0.3: 0.05}


def given_back(values: Floats) -> float:
    """Share of what a series takes that it gives back: 0 for one that never falls."""
    moves = np.diff(values)
    taken = float(moves[moves > 0].sum())
    return float(-moves[moves < 0].sum()) / taken if taken else float("inf")


def step_count(values: Floats) -> float:
    """Effective number of steps a series is made of (Kish): few large ones count as few."""
    moves = np.diff(values)
    square = float(moves @ moves)
    return float(np.abs(moves).sum() ** 2 / square) if square else 0.0


def grain(values: Floats) -> float:
    """Effective number of steps of which none counts for more than a few usual ones.

    A table that doubles now and then does not hide that something grows all the time.
    """
    moves = np.abs(np.diff(values))
    taken = moves[moves > 0]
    if not len(taken):
        return 0.0
    return step_count(np.append(0.0, np.cumsum(np.minimum(taken, LARGE_STEP * np.median(taken)))))


def evenly(growth: Growth) -> Floats:
    """The series at equal distances, so that rare snapshots do not look like large steps."""
    grid = np.linspace(growth.x[0], growth.x[-1], EVENT_BINS + 1)
    return np.interp(grid, growth.x, growth.y)


def keep_coming(growth: Growth, worth: float) -> bool:
    """Whether a series that is never given back grows by events at a constant rate.

    One in a hundred calls leaks: the events are few and irregular, so that some windows have
    none. Laplace's test for a trend in a point process (Cox and Lewis 1966) tells a constant rate
    from one that dies out; the silence since the last event must be usual. Judged over the whole
    run, or after the baseline where growth there is ``worth`` it.
    """
    parts = [(growth.whole_x, growth.whole_y)]
    if growth.y[-1] - growth.y[0] >= worth:
        parts.append((growth.x, growth.y))
    for x, y in parts:
        # What is there for a moment, such as a thread at work, is not what is given back.
        if given_back(floors(x, y, BIN_COUNT)[1]) > CLEAN_SHARE:
            continue
        steps, laplace, silence = events(x, y)
        if steps >= MINIMUM_STEPS and laplace >= LAPLACE_LOWEST and silence <= SILENCE_INTERVALS:
            return True
    return False


def events(x: Floats, y: Floats) -> tuple[float, float, float]:
    """Number of events by which the retained floor rises (large ones weighted down), Laplace's
    statistic of their times, and the silence after the last in mean intervals."""
    retained = np.minimum.accumulate(y[::-1])[::-1]
    moves = np.diff(retained)
    at = np.flatnonzero(moves > 0)
    if len(at) < 2:
        return float(len(at)), float("-inf"), float("inf")
    # Snapshots become rarer: a move belongs to the whole interval it was seen after.
    length = x[-1] - x[0]
    times = ((x[at] + x[at + 1]) / 2 - x[0]) / length
    interval = x[at + 1] - x[at]
    pace = moves[at] / interval
    weights = np.minimum(pace, LARGE_STEP * np.median(pace)) * interval
    steps = step_count(np.append(0.0, np.cumsum(weights)))
    centre = float(weights @ times / weights.sum())
    laplace = (centre - 0.5) * float(np.sqrt(12 * min(steps, MOST_EVENTS)))
    silence = float((x[-1] - x[at[-1] + 1]) / length * len(at))
    bins = np.searchsorted(x, np.linspace(x[0], x[-1], EVENT_BINS + 1))
    steps = min(steps, step_count(retained), step_count(retained[bins]))
    if len(moves) <= MOST_EVENTS and _falls_silent(x, moves / np.diff(x)):
        silence = float("inf")
    gained = retained[-1] - retained[0]
    for part, least in LATE_SHARES.items():
        before = np.interp(x[-1] - part * length, x, retained)
        if retained[-1] - before < least * gained:
            silence = float("inf")
    return steps, laplace, silence


def _falls_silent(x: Floats, paces: Floats) -> bool:
    """Whether fewer intervals of the last half bring anything than before, beyond chance.

    Where snapshots are rare at the end, one late step may bring as much as many early ones; one
    in a handful of intervals says nothing. Else Fisher's exact test: intervals become longer, so
    at a constant rate at least as many of the late ones rise.
    """
    late = (x[:-1] + x[1:]) / 2 > (x[0] + x[-1]) / 2
    rises = paces > MOVE_SHARE * np.median(paces[paces > 0])
    count, late_count = len(rises), int(late.sum())
    rise_count, late_rise_count = int(rises.sum()), int(rises[late].sum())
    if late_count <= FEW_INTERVALS and late_rise_count < 2:
        return True
    ways = sum(
        comb(rise_count, some) * comb(count - rise_count, late_count - some)
        for some in range(late_rise_count + 1)
    )
    return ways < LULL_CHANCE * comb(count, late_count)
