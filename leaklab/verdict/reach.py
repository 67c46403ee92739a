"""How high a figure comes above its trend: a process dies at a peak, not where the trend is.

While the trend rises by as much as the figure moves up and down, so many peaks come as did in that
time until now; the highest of them is what meets a limit. The figures above a threshold are taken
for draws from a generalized Pareto distribution, by its moments (Hosking and Wallis 1987), and the
highest of so many has its quantiles (peaks over threshold, as in Coles 2001, chapter 4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Of the figures the highest share is looked at, and so many at least.
PEAK_SHARE, FEWEST_PEAKS = 0.2, 8
# Tails heavier than this have no variance to be told by.
HEAVIEST = 0.5
LIGHTEST = -1.0
QUANTILES = (0.025, 0.5, 0.975)
# What lies between these quantiles is the range in which a figure moves up and down.
RANGE = (0.05, 0.95)


@dataclass(frozen=True)
class Reach:
    """Where a growing figure stands at the end of a run, and how far above that it comes.

    trend: in the figure's unit, at the end. low, middle, high: how much higher the highest peak
    is that comes before the trend itself is there (95 %). wait_x: the longest time without a peak.
    """

    trend: float
    low: float
    middle: float
    high: float
    wait_x: float


def reach(x: Floats, y: Floats, rate: float, acceleration: float = 0.0) -> Reach | None:
    """Return how far y comes above a trend that ends at ``rate`` per x; None for too few figures.

    ``acceleration``: half of what that rate gains per x.
    """
    if len(x) <= FEWEST_PEAKS or not rate > 0:
        return None
    since_end = x - x[-1]
    above = y - rate * since_end - acceleration * since_end**2
    trend = float(np.median(above))
    above = above - trend
    highest = np.sort(above)[::-1]
    count = min(max(int(PEAK_SHARE * len(above)), FEWEST_PEAKS), len(above) - 1)
    threshold = float(highest[count])
    excess = highest[:count] - threshold
    mean, variance = float(excess.mean()), float(excess.var())
    if mean <= 0:
        return Reach(trend, threshold, threshold, threshold, 0.0)
    # Moments of the generalized Pareto distribution: shape and scale.
    shape = (1 - mean**2 / variance) / 2 if variance > 0 else LIGHTEST
    shape = min(max(shape, LIGHTEST), HEAVIEST)
    scale = mean * (1 - shape)
    low, high = np.quantile(above, RANGE)
    turns = float(high - low) / rate / float(np.median(np.diff(x)) or 1.0)
    peaks = max(turns * count / len(above), 1.0)
    least, usual, most = (
        max(threshold + _highest(shape, scale, -math.log(p) / peaks), float(above.min()))
        for p in QUANTILES
    )
    at = x[above > threshold]
    wait_x = float(np.diff(at).max()) if len(at) > 1 else 0.0
    return Reach(trend, least, usual, most, wait_x)


def _highest(shape: float, scale: float, chance: float) -> float:
    """The excess that one draw exceeds with this (small) chance."""
    if abs(shape) < 1e-3:
        return -scale * math.log(chance)
    return float(scale / shape * (chance**-shape - 1))
