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

from leaklab.verdict.events import (
    CLEAN_SHARE,
    MINIMUM_STEPS,
    evenly,
    events,
    given_back,
    grain,
    keep_coming,
    step_count,
)
from leaklab.verdict.growth import Growth, bin_edges
from leaklab.verdict.slowing import REMAINING_SHARE, ends_flat, slows, still_to_come

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
# of few points needs more, and one of very few is not told apart from it.
STRONG_STATISTIC = 6.0
FEW_STATISTIC = 9.0
FEW_POINTS = 40
FEWEST_POINTS = 16
# This share of the growth after the baseline must lie above everything seen before it.
NEW_SHARE = 0.25
# A window that gains less than this share of the median window has not grown.
WINDOW_SHARE = 0.1
# A fall of this share of the range is the end of a tooth; with more teeth their floor is seen.
TOOTH_SHARE = 0.3
MOST_TEETH = 5
# After teeth, a last share of the run that moves by less than this share of the range is level.
LEVEL_SHARE = 1 / 3
LEVEL_RANGE = 0.05
# Peaks that differ by less than this share of the range are equally high.
SAME_PEAK = 0.01
# A few steps have stopped when nothing rose in this last share of the run.
STEP_SILENCE = 0.15
# Noise: growth of less than this many robust standard deviations is not told apart from it.
NOISE_MULTIPLE = 1.5


@dataclass(frozen=True)
class Evidence:
    """What a series says, and why.

    verdict: grows, stopped or undecided. code: the deciding observation, one of few, uncovered,
    steady, noisy, events, slowing, levelled, flat, reached, steps, small, unsteady, bent, teeth,
    known, settled; of both readers together also odds, weak, doubtful, unsettled, blind.
    rising, windows: in how many of the windows the floor rose. late_by_early:
    ratio of the rates. remaining: what a slowing curve still has to come (NaN otherwise). more_x:
    how much longer to record to decide. shape: the bounded shape that explains the curve best.
    """

    verdict: str
    code: str
    rising: int = 0
    windows: int = 0
    late_by_early: float = float("nan")
    remaining: float = float("nan")
    more_x: float = 0.0
    shape: str = ""


def weigh(
    growth: Growth,
    *,
    material: float = 0.0,
    whole_gain: float = 0.0,
    one_of_many: bool = False,
) -> Evidence:
    """Weigh one series after its baseline; growth of less than ``material`` is "small".

    whole_gain: what the series gained since the start of the run, warm-up included (the scale for
    what a slowing curve still has to come). one_of_many: the series was picked for its growth out
    of many, such as the sites of a heap; noise alone brings some of them far.
    """
    count = growth.point_count
    if count < MINIMUM_POINTS or len(growth.x) < 4:
        per_point = growth.run_span / max(count - 1, 1) if count > 1 else 1.0
        more = max(MINIMUM_POINTS - count, MINIMUM_POINTS // 2) * max(per_point, 0.0)
        return Evidence(UNDECIDED, "few", more_x=more)
    windows, gains, peaks = _windows(growth)
    rising = int((gains > 0).sum())
    small = growth.total < material
    negligible = small and np.ptp(growth.y) < material
    steady, strong = _keeps_rising(growth, windows, gains, peaks)
    steady = steady and not _is_one_step(growth, material)
    if one_of_many and rising < windows - 1:
        strong = strong and rising == windows - 2 and growth.statistic >= FEW_STATISTIC
    if small or not (steady or strong):
        gained = growth.whole_y[-1] - growth.whole_y[0] >= material
        if gained and keep_coming(growth, max(material, REMAINING_SHARE * whole_gain)):
            # The whole run looks like steady growth; its end may bring next to nothing.
            if negligible or ends_flat(growth):
                more = growth.run_span / 4
                return Evidence(UNDECIDED, "bent", rising, windows, more_x=more)
            return Evidence(GROWS, "events", rising, windows)
        if negligible:
            return Evidence(STOPPED, "small" if growth.total > 0 else "flat", rising, windows)
        return _not_steady(growth, gains, windows, rising, material)
    if not _new_territory(growth):
        return Evidence(STOPPED, "reached", rising, windows)
    if _given_back_before(growth):
        if np.ptp(_last_share(growth, LEVEL_SHARE)) < LEVEL_RANGE * np.ptp(growth.whole_y):
            return Evidence(STOPPED, "steps", rising, windows)
        return Evidence(UNDECIDED, "teeth", rising, windows, more_x=growth.run_span)
    slowing, ratio = slows(growth, gains, whole_gain)
    code = "steady" if steady else "noisy"
    found = Evidence(GROWS, code, rising, windows, ratio)
    if slowing:
        remaining, more_x = still_to_come(growth, ratio, whole_gain)
        if more_x:
            found = replace(found, verdict=UNDECIDED, code="slowing")
        else:
            found = replace(found, verdict=STOPPED, code="levelled")
        return replace(found, remaining=remaining, more_x=more_x)
    if ends_flat(growth):
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
    enough_steps = not clean or grain(evenly(growth)) >= MINIMUM_STEPS
    sure = clean or growth.rate_low > 0
    steady = every and bool((peaks > 0).mean() >= 0.8) and bool(separate) and enough_steps and sure
    strong = (
        growth.statistic >= STRONG_STATISTIC
        and rising >= 0.6 * (windows - 1)
        and given_back(growth.y) > CLEAN_SHARE
        and growth.total >= NOISE_MULTIPLE * _noise(growth)
        and step_count(growth.floor_y) >= MINIMUM_STEPS
    )
    # Where points become rarer there are fewer floors than points.
    if len(growth.floor_y) < FEW_POINTS and given_back(growth.y) > 2 * CLEAN_SHARE:
        enough = growth.statistic >= FEW_STATISTIC and rising >= windows - 2
        strong = strong and len(growth.floor_y) >= FEWEST_POINTS
        return bool(steady and enough), bool(strong and enough)
    return bool(steady), bool(strong)


def _is_one_step(growth: Growth, material: float) -> bool:
    """Whether one step brought more than the rest, which alone would not matter.

    A series that is flat but for a step rises in every window where the noise rises as well.
    """
    moves = np.diff(growth.y)
    rest = float(moves.sum() - moves.max())
    return rest < min(material, float(moves.max()))


def _last_share(growth: Growth, share: float) -> Floats:
    """The values of this last share of the run, from the last one seen before it."""
    begin = np.searchsorted(growth.whole_x, growth.end_x - share * growth.run_span, side="right")
    return growth.whole_y[max(int(begin) - 1, 0) :]


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


def _given_back_before(growth: Growth) -> bool:
    """Whether as large a rise was given back at once more than once, and too rarely to tell more.

    A few teeth of different heights rise in a few windows; many teeth show their floor.
    """
    falls = np.flatnonzero(np.diff(growth.whole_y) < -TOOTH_SHARE * np.ptp(growth.whole_y))
    if not 1 < len(falls) <= MOST_TEETH:
        return False
    risen = growth.whole_y[falls[-1] + 1 :].min() - growth.whole_y.min()
    return bool(risen < TOOTH_SHARE * np.ptp(growth.whole_y))


def _not_steady(
    growth: Growth, gains: Floats, windows: int, rising: int, material: float
) -> Evidence:
    """Growth, if any, that does not show in every window."""
    if given_back(growth.whole_y) <= CLEAN_SHARE:
        steps, _, _ = events(growth.whole_x, growth.whole_y)
        if steps < 4 and np.ptp(_last_share(growth, STEP_SILENCE)) == 0:
            return Evidence(STOPPED, "steps", rising, windows)
    quarter = growth.x >= growth.end_x - growth.span / 4
    before = max(float(growth.y[~quarter].max(initial=-np.inf)), growth.earlier_high)
    # The peaks of one sawtooth differ by a few bytes; of one that still goes on, not of a step.
    teeth = np.ptp(growth.y[growth.x >= growth.end_x - growth.span / 2])
    if growth.y[quarter].max() <= before + SAME_PEAK * teeth:
        return Evidence(STOPPED, "reached" if growth.rate_low > 0 else "flat", rising, windows)
    if growth.rate_low <= 0 or growth.total < material:
        last_gains = gains[-max(1, len(gains) // 2) :]
        if (last_gains > 0).all() and last_gains.sum() > max(material, 0.5 * np.abs(gains).sum()):
            # Flat for most of the run, then rising to the end: it may have begun to leak.
            return Evidence(UNDECIDED, "unsteady", rising, windows, more_x=growth.run_span / 2)
        return Evidence(STOPPED, "flat" if growth.rate_low <= 0 else "small", rising, windows)
    if growth.total < NOISE_MULTIPLE * _noise(growth):
        return Evidence(STOPPED, "flat", rising, windows)
    if rising <= 2 and np.ptp(_last_share(growth, STEP_SILENCE)) < WINDOW_SHARE * np.ptp(growth.y):
        return Evidence(STOPPED, "steps", rising, windows)
    return Evidence(UNDECIDED, "unsteady", rising, windows, more_x=growth.run_span)
