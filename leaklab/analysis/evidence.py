"""Does a series keep growing, has it stopped, or does what was recorded not tell?

A leak raises both the floor and the peak of every window after warm-up, by about the same amount
each time, until the end. Healthy series fail at least one of these: a warm-up slows down, a
sawtooth reaches no new peak, a single step rises in one window only, noise rises and falls.
No threshold here depends on the scale of the values: judging is the same for bytes, kilobytes
and descriptors, and does not change when a constant is added.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from leaklab.analysis.growth import BIN_COUNT, Growth, bin_edges, floors, slope_error, theil_sen

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Verdicts on a series.
GROWS, STOPPED, UNDECIDED = "grows", "stopped", "undecided"

MINIMUM_POINTS = 10
# Windows tried, most first: growth must show in every one. With fewer than the last number a
# handful of unrelated steps looks like steady growth.
WINDOW_COUNTS = (8, 7, 6, 5)
# So many windows all rising by chance is rare enough; fewer must also stand apart from the noise.
SURE_WINDOWS = 7
# Where the floors do not all rise, the rate must exceed this many standard errors; a noisy series
# of few points needs more.
STRONG_STATISTIC = 6.0
FEW_STATISTIC = 9.0
FEW_POINTS = 40
# Steps a growing series must be made of, at least: fewer are a warm-up, however they are spread.
MINIMUM_STEPS = 5.5
# Late by early rate under which growth slows down, and above which its later part is steady.
SLOWING_RATIO = 0.75
STEADY_RATIO = 0.85
# A series that is never given back and rises at nearly every point has no noise to allow for.
EXACT_RATIO = 0.95
EXACT_SHARE = 0.6
# This share of the growth after the baseline must lie above everything seen before it.
NEW_SHARE = 0.25
# Growth that is projected to end within this share of what was gained has as good as stopped.
REMAINING_SHARE = 0.1
# A window that gains less than this share of the median window has not grown.
WINDOW_SHARE = 0.1
# A series that gives back at most this share of what it takes is made of events, not of noise.
CLEAN_SHARE = 0.1
# Events at a constant rate: the Laplace statistic must not fall below this, and the silence after
# the last one must not exceed this many mean intervals (a chance of 3 % each).
LAPLACE_LOWEST = -1.88
SILENCE_INTERVALS = 3.5
MOST_EVENTS = 100
# Events close together count as one: so many bins are looked at.
EVENT_BINS = 40
# The last 30 % of the run must bring at least this share of the growth.
LATE_SHARE = 0.05
# Fine-grained growth that falls under this share of its mean pace in the last share of the run.
TAIL_SHARE = 0.1
TAIL_PACE = 0.2
FINE_SHARE = 0.6
# A few steps have stopped when nothing rose in this last share of the run.
STEP_SILENCE = 0.15
# Noise: growth of less than this many robust standard deviations is not told apart from it.
NOISE_MULTIPLE = 1.5


@dataclass(frozen=True)
class Evidence:
    """What a series says, and why.

    verdict: grows, stopped or undecided. code: the deciding observation, one of few, uncovered,
    steady, noisy, events, slowing, levelled, flat, reached, steps, small, unsteady,
    bent, known, settled.
    rising, windows: in how many of the windows the floor rose. late_by_early: ratio of the rates.
    remaining: what a slowing curve still has to come (NaN otherwise). more_x: how much longer to
    record to decide.
    """

    verdict: str
    code: str
    rising: int = 0
    windows: int = 0
    late_by_early: float = float("nan")
    remaining: float = float("nan")
    more_x: float = 0.0


def weigh(
    growth: Growth,
    *,
    material: float = 0.0,
    whole_gain: float | None = None,
    one_of_many: bool = False,
) -> Evidence:
    """Weigh one series after its baseline; growth of less than ``material`` is "small".

    one_of_many: the series was picked for its growth out of many, such as the sites of a heap;
    noise alone brings some of them far.

    whole_gain: what the series gained since the start of the run, warm-up included (the scale for
    what a slowing curve still has to come).
    """
    count = growth.point_count
    if count < MINIMUM_POINTS or len(growth.x) < 4:
        per_point = growth.run_span / max(count - 1, 1) if count > 1 else 1.0
        more = max(MINIMUM_POINTS - count, MINIMUM_POINTS // 2) * max(per_point, 0.0)
        return Evidence(UNDECIDED, "few", more_x=more)
    windows, gains, peaks = _windows(growth)
    rising = int((gains > 0).sum())
    if growth.total < material and np.ptp(growth.y) < material:
        return Evidence(STOPPED, "small" if growth.total > 0 else "flat", rising, windows)
    steady, strong = _keeps_rising(growth, windows, gains, peaks)
    if one_of_many and rising < windows - 1:
        strong = strong and rising == windows - 2 and growth.statistic >= FEW_STATISTIC
    if growth.total < material or not (steady or strong):
        if growth.whole_y[-1] - growth.whole_y[0] >= material and _ticks(growth, whole_gain):
            return Evidence(GROWS, "events", rising, windows)
        return _not_steady(growth, gains, windows, rising, material)
    if not _new_territory(growth):
        return Evidence(STOPPED, "reached", rising, windows)
    slowing, ratio = _slows(growth, gains, whole_gain)
    code = "steady" if steady else "noisy"
    found = Evidence(GROWS, code, rising, windows, ratio)
    if slowing:
        return _levelling(growth, found, whole_gain)
    if _ends_flat(growth):
        return replace(found, verdict=UNDECIDED, code="bent", more_x=growth.run_span / 4)
    return found


def _keeps_rising(growth: Growth, windows: int, gains: Floats, peaks: Floats) -> tuple[bool, bool]:
    """Whether every window rises, and whether the rate stands out of the noise."""
    rising = (gains > 0).sum()
    # Growth may become faster, so only the later windows are held against the median.
    later = gains[len(gains) // 2 :]
    every = bool((later > WINDOW_SHARE * np.median(gains)).all()) and rising == windows - 1
    size = growth.span / windows
    first, last = growth.x < growth.x[0] + size, growth.x >= growth.x[-1] - size
    separate = (
        windows >= SURE_WINDOWS
        or growth.y[last].min() > np.median(growth.y[first])
        or growth.statistic >= STRONG_STATISTIC
    )
    # A handful of steps rises in a handful of windows, wherever the steps come from.
    clean = given_back(growth.y) <= CLEAN_SHARE
    enough_steps = not clean or step_count(_evenly(growth)) >= MINIMUM_STEPS
    steady = every and bool((peaks > 0).mean() >= 0.8) and bool(separate) and enough_steps
    strong = (
        growth.statistic >= STRONG_STATISTIC
        and rising >= 0.6 * (windows - 1)
        and given_back(growth.y) > CLEAN_SHARE
        and growth.total >= NOISE_MULTIPLE * _noise(growth)
        and step_count(growth.floor_y) >= MINIMUM_STEPS
    )
    if len(growth.y) < FEW_POINTS and given_back(growth.y) > 2 * CLEAN_SHARE:
        enough = growth.statistic >= FEW_STATISTIC
        return steady and enough, strong and enough
    return steady, strong


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


def _evenly(growth: Growth) -> Floats:
    """The series at equal distances, so that rare snapshots do not look like large steps."""
    grid = np.linspace(growth.x[0], growth.x[-1], EVENT_BINS + 1)
    return np.interp(grid, growth.x, growth.y)


def _noise(growth: Growth) -> float:
    """Robust standard deviation of the points around the fitted line."""
    residual = growth.y - growth.rate * growth.x
    return 1.4826 * float(np.median(np.abs(residual - np.median(residual))))


def _windows(growth: Growth) -> tuple[int, Floats, Floats]:
    """Number of windows, gains of their floors and of their peaks: as many windows as all rise,
    else six."""
    best: tuple[int, Floats, Floats] | None = None
    for wanted in WINDOW_COUNTS:
        edges = bin_edges(growth.x, wanted)
        windows = len(edges)
        if windows < WINDOW_COUNTS[-1] or len(growth.y) < 2 * windows:
            continue
        gains = np.diff(np.minimum.reduceat(growth.y, edges))
        peaks = np.diff(np.maximum.reduceat(growth.y, edges))
        if (gains > 0).all():
            return windows, gains, peaks
        if best is None or windows == 6:
            best = windows, gains, peaks
    if best is None:
        gains = np.diff(growth.y)
        return len(growth.y), gains, gains
    return best


def _ticks(growth: Growth, whole_gain: float | None) -> bool:
    """Whether a series that is never given back grows by events at a constant rate.

    One in a hundred calls leaks: the events are few and irregular, so that some windows have
    none. Laplace's test for a trend in a point process (Cox and Lewis 1966) tells a constant rate
    from one that dies out; the silence since the last event must be usual. Judged over the whole
    run, or after the baseline where that is most of the growth.
    """
    parts = [(growth.whole_x, growth.whole_y)]
    if growth.y[-1] - growth.y[0] >= REMAINING_SHARE * (whole_gain or 0.0):
        parts.append((growth.x, growth.y))
    for x, y in parts:
        if given_back(y) > CLEAN_SHARE:
            continue
        steps, laplace, silence = _events(x, y)
        if steps >= MINIMUM_STEPS and laplace >= LAPLACE_LOWEST and silence <= SILENCE_INTERVALS:
            return True
    return False


def _events(x: Floats, y: Floats) -> tuple[float, float, float]:
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
    weights = np.minimum(pace, 3 * np.median(pace)) * interval
    steps = step_count(np.append(0.0, np.cumsum(weights)))
    centre = float(weights @ times / weights.sum())
    # More events than this would only find slowing that does not matter.
    laplace = (centre - 0.5) * float(np.sqrt(12 * min(steps, MOST_EVENTS)))
    silence = float((x[-1] - x[at[-1] + 1]) / length * len(at))
    bins = np.searchsorted(x, np.linspace(x[0], x[-1], EVENT_BINS + 1))
    steps = min(steps, step_count(retained), step_count(retained[bins]))
    late = retained[-1] - retained[np.searchsorted(x, x[-1] - 0.3 * (x[-1] - x[0]))]
    if late < LATE_SHARE * (retained[-1] - retained[0]):
        silence = float("inf")
    return steps, laplace, silence


def _new_territory(growth: Growth) -> bool:
    """Whether growth went beyond what the series had already reached before its baseline.

    The last tooth of a sawtooth has not. A start-up peak that was given back does not count when
    what followed makes up most of the run.
    """
    if growth.span > 2 / 3 * growth.run_span:
        return True
    latest = growth.x >= growth.end_x - growth.span / 8
    beyond = float(growth.y[latest].max()) - growth.earlier_high
    return beyond > NEW_SHARE * growth.total


def _slows(growth: Growth, gains: Floats, whole_gain: float | None) -> tuple[bool, float]:
    """Whether the rate declines and goes on declining, and late by early rate.

    A remainder of warm-up in front of a leak declines as well, but what follows it is steady: so
    the first quarter and half are left out in turn.
    """
    # The change point cuts a smooth curve anywhere: at least the last half of the run is looked at.
    recent_x, recent_y = _recent(growth)
    floor_x, floor_y = floors(recent_x, recent_y, BIN_COUNT)
    clean = given_back(recent_y) <= CLEAN_SHARE
    exact = clean and step_count(floor_y) >= max(EXACT_SHARE * len(floor_y), MINIMUM_POINTS)
    # Growth that is little beside the warm-up before it may be its tail: no benefit of the doubt.
    doubtful = growth.total < REMAINING_SHARE * (whole_gain or 0.0)
    every_less = doubtful or exact or (len(gains) >= 4 and (np.diff(gains) < 0).mean() >= 0.8)
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
        if not np.isfinite(overall):
            overall = late / early if early > 0 else float("inf")
        if late >= steady * early or (early - late < 2 * error and not every_less):
            part = growth.whole_x >= x[0]
            laplace = _events(growth.whole_x[part], growth.whole_y[part])[1]
            if not clean or laplace >= LAPLACE_LOWEST:
                return False, overall
    return True, overall


def _ends_flat(growth: Growth) -> bool:
    """Whether fine-grained growth all but ended at the last points, too few to judge alone.

    Snapshots can be so rare at the end of a run that one interval is all that follows a bend.
    """
    fine = step_count(_evenly(growth)) >= FINE_SHARE * EVENT_BINS
    if given_back(growth.y) > CLEAN_SHARE or not fine:
        return False
    begin = (
        int(np.searchsorted(growth.x, growth.end_x - TAIL_SHARE * growth.span, side="right")) - 1
    )
    tail = growth.x[-1] - growth.x[begin]
    gained = float(growth.y[-1] - growth.y[begin])
    mean = float(growth.y[-1] - growth.y[0]) / growth.span
    return bool(tail > 0 and gained < TAIL_PACE * mean * tail)


def _recent(growth: Growth) -> tuple[Floats, Floats]:
    """What followed the baseline, or the last half of the run where that is longer."""
    begin = min(growth.baseline_x, growth.end_x - growth.run_span / 2)
    recent = growth.whole_x >= begin
    return growth.whole_x[recent], growth.whole_y[recent]


def _levelling(growth: Growth, found: Evidence, whole_gain: float | None) -> Evidence:
    """A curve that slows down: what is still to come if it goes on slowing at this pace.

    Growth that falls by the same share in every half as long as the last has a limit: the sum of
    a geometric series.
    """
    x, y = _recent(growth)
    gained = float(y[-1] - y[0])
    whole = max(whole_gain or 0.0, gained)
    share = min(max(found.late_by_early, 0.0), 0.99)
    remaining = gained * share / (1 + share) * share / (1 - share)
    if remaining <= REMAINING_SHARE * whole:
        return replace(found, verdict=STOPPED, code="levelled", remaining=remaining)
    halves = np.log(REMAINING_SHARE * whole / remaining) / np.log(max(share, 1e-3))
    more = max(float((x[-1] - x[0]) / 2 * halves), growth.run_span / 4)
    return replace(found, verdict=UNDECIDED, code="slowing", remaining=remaining, more_x=more)


def _not_steady(
    growth: Growth, gains: Floats, windows: int, rising: int, material: float
) -> Evidence:
    """Growth, if any, that does not show in every window."""
    if given_back(growth.whole_y) <= CLEAN_SHARE:
        steps, _, _ = _events(growth.whole_x, growth.whole_y)
        late = growth.whole_x >= growth.end_x - STEP_SILENCE * growth.run_span
        if steps < 4 and np.ptp(growth.whole_y[late]) == 0:
            return Evidence(STOPPED, "steps", rising, windows)
    quarter = growth.x >= growth.end_x - growth.span / 4
    before = max(float(growth.y[~quarter].max(initial=-np.inf)), growth.earlier_high)
    if growth.y[quarter].max() <= before:
        return Evidence(STOPPED, "reached" if growth.rate_low > 0 else "flat", rising, windows)
    if growth.rate_low <= 0 or growth.total < material:
        latest = gains[-max(1, len(gains) // 3) :]
        if (latest > 0).all() and latest.sum() > max(material, 0.5 * np.abs(gains).sum()):
            # Flat for most of the run, then rising to the end: it may have begun to leak.
            return Evidence(UNDECIDED, "unsteady", rising, windows, more_x=growth.run_span / 2)
        return Evidence(STOPPED, "flat" if growth.rate_low <= 0 else "small", rising, windows)
    if rising <= 2 or growth.total < NOISE_MULTIPLE * _noise(growth):
        return Evidence(STOPPED, "steps", rising, windows)
    return Evidence(UNDECIDED, "unsteady", rising, windows, more_x=growth.run_span)
