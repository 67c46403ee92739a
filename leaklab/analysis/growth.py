"""The growth rate of one series, with its interval, after the warm-up is cut off.

Steps, each for a reason given in the notebook ``80-how-verdicts-work``:

1. Floors: the smallest value of each of up to 60 equal bins. A leak raises the floor; sawtooths
   and transient peaks do not. Where every point is already a floor (few points) nothing changes.
2. Warm-up: the last change point of a piecewise linear fit to the floors (binary segmentation,
   each split must more than halve the squared error) is the baseline; what follows is one regime.
3. Rate: Theil-Sen slope of the floors after the baseline.
4. Interval: the slope's standard error from the equal-weighted cosine estimator of the long-run
   variance (Lazarus, Lewis, Stock, Watson 2018, "HAR inference: recommendations for practice"),
   with Student's t of as many degrees of freedom as cosines: it stays honest for autocorrelated
   noise, where ordinary regression calls one series in five a leak.
5. Windows: the floors of equal windows after the baseline. A leak rises in every one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

BIN_COUNT = 60
WINDOW_COUNT = 6
COSINE_COUNT = 8
# Two-sided 95 % quantile of Student's t with COSINE_COUNT degrees of freedom.
T_QUANTILE = 2.306
# A regime must cover this share of the run, and this many floors, to be judged alone.
MINIMUM_SHARE = 0.2
MINIMUM_BINS = 8


@dataclass(frozen=True)
class Growth:
    """Growth of one series after its baseline.

    rate, rate_low, rate_high: per unit of x (95 % interval); NaN with fewer than 4 points.
    baseline_x: where warm-up ended. first, last: the floor at the baseline and at the end.
    noise: median absolute residual around the fitted line. early_rate, late_rate: the rate in the
    first and the last half after the baseline. window_floors: the floor of each equal window.
    earlier_high: the highest floor before the baseline (-inf without one).
    """

    rate: float
    rate_low: float
    rate_high: float
    unit: str
    baseline_x: float
    first: float
    last: float
    start_x: float
    end_x: float
    point_count: int
    floor_count: int
    noise: float
    early_rate: float
    late_rate: float
    window_floors: tuple[float, ...]
    earlier_high: float

    @property
    def span(self) -> float:
        """Length of x after the baseline."""
        return self.end_x - self.baseline_x

    @property
    def total(self) -> float:
        """Growth after the baseline by the fitted rate."""
        return self.rate * self.span

    @property
    def rising_share(self) -> float:
        """Share of windows whose floor is higher than the one before."""
        floors = np.asarray(self.window_floors)
        return float(np.mean(np.diff(floors) > 0)) if len(floors) > 1 else 0.0


def estimate(
    x: NDArray[np.floating], y: NDArray[np.floating], *, unit: str = "iteration"
) -> Growth:
    """Growth of y over x (both one-dimensional, x not decreasing, NaN ignored)."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) < 4 or x[-1] <= x[0]:
        return _unknown(x, y, unit)
    floor_x, floor_y = floors(x, y, BIN_COUNT)
    begin = last_regime(floor_x, floor_y)
    after_x, after_y = floor_x[begin:], floor_y[begin:]
    rate = theil_sen(after_x, after_y)
    margin = T_QUANTILE * slope_error(after_x, after_y)
    middle = len(after_x) // 2
    _, window_y = floors(after_x, after_y, min(WINDOW_COUNT, len(after_x)))
    residual = after_y - rate * after_x
    return Growth(
        rate=rate,
        rate_low=rate - margin,
        rate_high=rate + margin,
        unit=unit,
        baseline_x=float(after_x[0]),
        first=float(after_y[0]),
        last=float(after_y[-1]),
        start_x=float(x[0]),
        end_x=float(x[-1]),
        point_count=len(x),
        floor_count=len(after_x),
        noise=float(np.median(np.abs(residual - np.median(residual)))),
        early_rate=theil_sen(after_x[: middle + 1], after_y[: middle + 1]),
        late_rate=theil_sen(after_x[middle:], after_y[middle:]),
        window_floors=tuple(map(float, window_y)),
        earlier_high=float(floor_y[:begin].max()) if begin else -np.inf,
    )


def floors(x: Floats, y: Floats, bin_count: int) -> tuple[Floats, Floats]:
    """The smallest value, and where it stands, in each of ``bin_count`` equal bins of x.

    Bins hold the same number of points; with fewer than two points a bin the points themselves.
    """
    if len(x) < 2 * bin_count:
        return x, y
    edges = np.linspace(0, len(x), bin_count + 1).astype(int)[:-1]
    lowest = np.minimum.reduceat(y, edges)
    bins = np.repeat(np.arange(bin_count), np.diff(np.append(edges, len(x))))
    # The first point of each bin that has the bin's minimum.
    hits = np.flatnonzero(y == lowest[bins])
    _, first = np.unique(bins[hits], return_index=True)
    return x[hits[first]], lowest


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


def slope_error(x: Floats, y: Floats) -> float:
    """Standard error of the least-squares slope that stays honest under autocorrelation.

    Equal-weighted cosine estimator of the long-run variance of the regression's scores.
    """
    count = len(x)
    if count < 4:
        return float("inf")
    centred = x - x.mean()
    spread = float(centred @ centred)
    residual = y - y.mean() - (centred @ (y - y.mean())) / spread * centred
    cosines = min(COSINE_COUNT, max(2, count // 3))
    positions = (np.arange(count) + 0.5) / count
    waves = np.sqrt(2.0 / count) * np.cos(np.pi * np.outer(np.arange(1, cosines + 1), positions))
    weighted = waves @ (centred * residual)
    return float(np.sqrt(count * np.mean(weighted**2)) / spread)


def last_regime(x: Floats, y: Floats) -> int:
    """Index where the last linear regime begins: 0 where one line fits all.

    Splits the series in two where two lines fit best, as long as that more than halves the
    squared error, and goes on with the right part.
    """
    begin = 0
    shortest = max(MINIMUM_BINS, int(MINIMUM_SHARE * len(x)))
    while len(x) - begin >= 2 * MINIMUM_BINS:
        left = _cumulative_errors(x[begin:], y[begin:])
        right = _cumulative_errors(x[begin:][::-1], y[begin:][::-1])[::-1]
        together = left[-1]
        # The right part begins at position k: left part is [0, k), at least three points.
        places = np.arange(3, len(left) - shortest + 1)
        if not len(places):
            break
        split = left[places - 1] + right[places]
        best = int(np.argmin(split))
        scale = float(np.ptp(y[begin:]))
        if together <= 1e-12 * scale * scale * len(left) or split[best] > 0.35 * together:
            break
        begin += int(places[best])
    return begin


def _cumulative_errors(x: Floats, y: Floats) -> Floats:
    """Squared error of the least-squares line through the first 1, 2, … points."""
    x, y = x - x.mean(), y - y.mean()
    count = np.arange(1, len(x) + 1)
    sum_x, sum_y = np.cumsum(x), np.cumsum(y)
    sxx = np.cumsum(x * x) - sum_x**2 / count
    sxy = np.cumsum(x * y) - sum_x * sum_y / count
    syy = np.cumsum(y * y) - sum_y**2 / count
    explained = np.divide(sxy**2, sxx, out=np.zeros_like(sxx), where=sxx > 1e-12)
    return np.maximum(syy - explained, 0.0)


def _unknown(x: Floats, y: Floats, unit: str) -> Growth:
    nan = float("nan")
    return Growth(
        rate=nan,
        rate_low=nan,
        rate_high=nan,
        unit=unit,
        baseline_x=float(x[0]) if len(x) else nan,
        first=float(y[0]) if len(y) else nan,
        last=float(y[-1]) if len(y) else nan,
        start_x=float(x[0]) if len(x) else nan,
        end_x=float(x[-1]) if len(x) else nan,
        point_count=len(x),
        floor_count=len(x),
        noise=nan,
        early_rate=nan,
        late_rate=nan,
        window_floors=(),
        earlier_high=float("-inf"),
    )
