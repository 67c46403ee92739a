"""The growth rate of one series, with its interval, after the warm-up is cut off.

Steps, each for a reason given in the notebook ``80-how-verdicts-work``:

1. Floors: the smallest value of each of up to 60 equal bins. A leak raises the floor; sawtooths
   and transient peaks do not. Where every point is already a floor (few points) nothing changes.
2. Warm-up: the last change point of a piecewise linear fit to the floors (binary segmentation)
   is the baseline; what follows is one regime.
3. Rate: Theil-Sen slope of the floors after the baseline.
4. Interval: the slope's standard error from the equal-weighted cosine estimator of the long-run
   variance (Lazarus, Lewis, Stock, Watson 2018, "HAR inference: recommendations for practice"),
   with Student's t of as many degrees of freedom as cosines: it stays honest for autocorrelated
   noise, where ordinary regression calls one series in five a leak.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

BIN_COUNT = 60
FEWEST_BINS = 12
# Points are uneven when their largest distance is this many times the usual one.
UNEVEN_RATIO = 3.0
# Density is compared between this many equal parts of the run.
PART_COUNT = 8
COSINE_COUNT = 8
# Two-sided 95 % quantiles of Student's t, by degrees of freedom.
T_QUANTILES = {2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306}
# A regime must cover this share of the run, and this many floors, to be judged alone.
MINIMUM_SHARE = 0.2
MINIMUM_BINS = 6
# Two lines must leave less than this share of one line's squared error to be believed.
SPLIT_GAIN = 0.45
# Growth that only becomes faster is no warm-up: what came before grew at this share or more.
ACCELERATION = 0.1
# Growth on both sides of a step is the same within this share; what is lost to falls is little.
SAME_PACE = 0.2
STEP_LOSS = 0.05


@dataclass(frozen=True)
class Growth:
    """Growth of one series after its baseline.

    rate, rate_low, rate_high: per unit of x, at the end (95 % interval); NaN with fewer than 4
    points. mean_rate: since the baseline; what keeps its pace has one rate. statistic: rate by its
    standard error. baseline_x: where warm-up ended. first, last: the value
    at the baseline and at the end. start_x, end_x: of the whole series. point_count: of the whole
    series. whole_x, whole_y: all points; x, y: those after the baseline, nowhere denser than in
    most of the run; floor_x, floor_y: their floors.
    """

    rate: float
    rate_low: float
    rate_high: float
    mean_rate: float
    statistic: float
    unit: str
    baseline_x: float
    first: float
    last: float
    start_x: float
    end_x: float
    point_count: int
    whole_x: Floats
    whole_y: Floats
    x: Floats
    y: Floats
    floor_x: Floats
    floor_y: Floats

    @property
    def first_floor(self) -> float:
        """The floor at the baseline; NaN without figures."""
        return float(self.floor_y[0]) if len(self.floor_y) else float("nan")

    @property
    def last_floor(self) -> float:
        """The floor at the end: a peak that comes and goes is none of it; NaN without figures."""
        return float(self.floor_y[-1]) if len(self.floor_y) else float("nan")

    @property
    def span(self) -> float:
        """Length of x after the baseline."""
        return self.end_x - self.baseline_x

    @property
    def run_span(self) -> float:
        """Length of x of the whole run."""
        return self.end_x - self.start_x

    @property
    def total(self) -> float:
        """Growth after the baseline."""
        return self.mean_rate * self.span

    @property
    def average_rate(self) -> float:
        """The mean rate; where it stood still for most of the time, of which a median of slopes
        knows nothing else, what the floor gained per unit of x."""
        if self.mean_rate > 0 or not self.span > 0:
            return self.mean_rate
        return (self.last_floor - self.first_floor) / self.span

    @cached_property
    def acceleration(self) -> float:
        """Half of what the rate gains per unit of x: c of y = a + b x + c x². 0 where it keeps its
        pace, or was slower for a while only: then its halves hardly differ.

        The average is the rate in the middle.
        """
        faster = self.rate - self.average_rate
        if not self.average_rate < self.rate_low:
            return 0.0
        half = len(self.floor_x) // 2
        early, late = (
            theil_sen(self.floor_x[part], self.floor_y[part])
            for part in (slice(half), slice(half, None))
        )
        return faster / self.span if late - early > faster / 2 else 0.0


def estimate(
    x: NDArray[Any], y: NDArray[Any], *, unit: str = "iteration", baseline_x: float | None = None
) -> Growth:
    """Growth of y over x (both one-dimensional, x not decreasing, NaN ignored).

    The baseline is found unless ``baseline_x`` gives it.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    # Processes of one role may have a figure each at one place: the last one is their sum.
    last_of_place = np.append(np.diff(x) > 0, True)[: len(x)]
    whole_x, whole_y = x[last_of_place], y[last_of_place]
    x, y = evenly_dense(whole_x, whole_y)
    begin = 0
    if len(x) >= 4:
        if baseline_x is None:
            coarse_x, coarse_y = floors(x, y, BIN_COUNT)
            begin = int(np.searchsorted(x, coarse_x[last_regime(coarse_x, coarse_y)]))
        else:
            begin = min(int(np.searchsorted(x, baseline_x)), len(x) - 4)
    after_x, after_y = x[begin:], y[begin:]
    floor_x, floor_y = floors(after_x, after_y, BIN_COUNT)
    rate = theil_sen(floor_x, floor_y)
    error, freedom = slope_error(floor_x, floor_y)
    margin = T_QUANTILES[freedom] * error
    nan = float("nan")
    return Growth(
        rate=rate,
        rate_low=rate - margin,
        rate_high=rate + margin,
        mean_rate=rate,
        statistic=_ratio(rate, error),
        unit=unit,
        baseline_x=float(after_x[0]) if len(x) else nan,
        first=float(after_y[0]) if len(x) else nan,
        # Not that of ``y``: of a series that is denser in places the last point may be left out.
        last=float(whole_y[-1]) if len(x) else nan,
        start_x=float(x[0]) if len(x) else nan,
        end_x=float(x[-1]) if len(x) else nan,
        point_count=len(whole_x),
        whole_x=whole_x,
        whole_y=whole_y,
        x=after_x,
        y=after_y,
        floor_x=floor_x,
        floor_y=floor_y,
    )


def evenly_dense(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Leave points out where they are denser than in most of the run.

    A long recording is denser at its beginning than at its end. The lowest of many noisy values
    is lower than the lowest of a few, so floors would rise where only the density falls.
    """
    if len(x) <= BIN_COUNT:
        return x, y
    edges = bin_edges(x, PART_COUNT)
    counts = np.diff(np.append(edges, len(x)))
    most = max(int(counts.min()), 3 * BIN_COUNT // PART_COUNT)
    kept = [
        begin + np.arange(min(count, most)) * count // min(count, most)
        for begin, count in zip(edges, counts, strict=True)
    ]
    chosen = np.concatenate(kept)
    return x[chosen], y[chosen]


def floors(x: Floats, y: Floats, bin_count: int) -> tuple[Floats, Floats]:
    """The smallest value, and where it stands, in each of ``bin_count`` equal bins of x.

    Empty bins are left out. No more points than bins stay as they are, unless they are much
    denser in one part of the run: then there are fewer bins, so that this part does not decide.
    """
    if len(x) <= bin_count:
        if len(x) < 2 * FEWEST_BINS or np.diff(x).max() < UNEVEN_RATIO * np.median(np.diff(x)):
            return x, y
        bin_count = max(FEWEST_BINS, len(x) // 2)
    edges = bin_edges(x, bin_count)
    lowest = np.minimum.reduceat(y, edges)
    bins = np.repeat(np.arange(len(edges)), np.diff(np.append(edges, len(x))))
    # The first point of each bin that has the bin's minimum.
    hits = np.flatnonzero(y == lowest[bins])
    first = hits[np.flatnonzero(np.diff(bins[hits], prepend=-1))]
    return x[first], lowest


def bin_edges(x: Floats, bin_count: int) -> NDArray[np.int64]:
    """Where each of ``bin_count`` equally long bins of x begins; empty bins are left out.

    Snapshots become rarer as a run goes on, so bins of equal count would look at its beginning.
    """
    wanted = np.linspace(x[0], x[-1], bin_count + 1)[:-1]
    return np.unique(np.searchsorted(x, wanted)).astype(np.int64)


def theil_sen(x: Floats, y: Floats) -> float:
    """Median of the slopes of all pairs of points; NaN with fewer than two different x."""
    if len(x) < 2:
        return float("nan")
    upper, lower = np.triu_indices(len(x), 1)
    distance = x[lower] - x[upper]
    apart = distance > 0
    if not apart.any():
        return float("nan")
    return float(np.median((y[lower] - y[upper])[apart] / distance[apart]))


def slope_error(x: Floats, y: Floats) -> tuple[float, int]:
    """Standard error of the least-squares slope, honest under autocorrelation, and its degrees
    of freedom.

    Equal-weighted cosine estimator of the long-run variance of the regression's scores.
    """
    count = len(x)
    freedom = min(COSINE_COUNT, max(2, count // 3))
    if count < 4 or x[-1] <= x[0]:
        return float("inf"), freedom
    centred = x - x.mean()
    spread = float(centred @ centred)
    # The mean of one figure, many times, is not that figure, and what is left would be an error.
    residual = y - y[0]
    residual = residual - residual.mean()
    residual = residual - (centred @ residual) / spread * centred
    positions = (np.arange(count) + 0.5) / count
    waves = np.sqrt(2.0 / count) * np.cos(np.pi * np.outer(np.arange(1, freedom + 1), positions))
    weighted = waves @ (centred * residual)
    return float(np.sqrt(count * np.mean(weighted**2)) / spread), freedom


def last_regime(x: Floats, y: Floats) -> int:
    """Index where the last linear regime begins: 0 where one line fits all.

    Splits the series in two where two lines fit best, as long as that lowers the squared error
    far enough, and goes on with the right part.
    """
    begin = 0
    shortest = max(MINIMUM_BINS, int(MINIMUM_SHARE * len(x)))
    while len(x) - begin >= 2 * MINIMUM_BINS:
        left = _cumulative_errors(x[begin:], y[begin:])
        right = _cumulative_errors(x[begin:][::-1], y[begin:][::-1])[::-1]
        together = left[-1]
        # The right part begins at position k: left part is [0, k), at least two points.
        places = np.arange(2, len(left) - shortest + 1)
        if not len(places):
            break
        split = left[places - 1] + right[places]
        best = int(np.argmin(split))
        scale = float(np.ptp(y[begin:]))
        if together <= 1e-9 * scale * scale * len(left) or split[best] > SPLIT_GAIN * together:
            break
        place = begin + int(places[best])
        earlier, later = _slope(x[begin:place], y[begin:place]), _slope(x[place:], y[place:])
        smooth = 0 <= y[place] - y[place - 1] < ACCELERATION * scale
        if smooth and 0 < ACCELERATION * later < earlier < later:
            break
        if _same_pace(x[begin:], y[begin:], place - begin):
            break
        begin = place
    return begin


def _same_pace(x: Floats, y: Floats, place: int) -> bool:
    """Whether a series that is hardly ever given back grows as fast before a place as after it.

    What happens there is a step, such as a table that doubles, and no end of a warm-up.
    """
    moves = np.diff(y)
    if -moves[moves < 0].sum() > STEP_LOSS * moves[moves > 0].sum():
        return False
    paces = moves / np.diff(x)
    earlier, later = float(np.median(paces[: place - 1])), float(np.median(paces[place:]))
    return earlier > 0 and later > 0 and abs(later - earlier) <= SAME_PACE * max(earlier, later)


def _slope(x: Floats, y: Floats) -> float:
    """Least-squares slope; 0 where x does not change."""
    centred = x - x.mean()
    spread = float(centred @ centred)
    return float(centred @ y) / spread if spread else 0.0


def _cumulative_errors(x: Floats, y: Floats) -> Floats:
    """Squared error of the least-squares line through the first 1, 2, … points."""
    x, y = x - x.mean(), y - y.mean()
    count = np.arange(1, len(x) + 1)
    sum_x, sum_y = np.cumsum(x), np.cumsum(y)
    sxx = np.cumsum(x * x) - sum_x**2 / count
    sxy = np.cumsum(x * y) - sum_x * sum_y / count
    syy = np.cumsum(y * y) - sum_y**2 / count
    explained = np.divide(sxy**2, sxx, out=np.zeros_like(sxx), where=sxx > 1e-12)
    errors: Floats = np.maximum(syy - explained, 0.0)
    return errors


def _ratio(rate: float, error: float) -> float:
    if error > 0:
        return rate / error
    return float(np.copysign(np.inf, rate)) if rate else 0.0
