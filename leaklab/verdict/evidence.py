"""What a series is evidence for, and how it goes on.

The models of :mod:`leaklab.verdict.models` describe the whole run, its warm-up included. What
follows the warm-up is cut in five: the floor of each part of a leak is above that of the part
before, and the last reaches more than was ever there. What fills up exactly, at marks, has a lower
pace in each fifth of the run than in the one before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leaklab.verdict.growth import Growth, bin_edges

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Verdicts on a series.
GROWS, STOPPED, UNDECIDED = "grows", "stopped", "undecided"

MINIMUM_POINTS = 10
# Courses of a series, which is looked at in so many equal parts.
RISES, SLOWS = "rises", "slows"
WINDOW_COUNT = 5
# Fewer steps rise in five parts wherever they come from: modules that are imported late, say.
FEWEST_STEPS = 4
# A part is slower than the one before below this share of its pace.
EVEN_SHARE = 0.95
# A series that gives back no more than this share of what it takes has no noise to allow for.
EXACT_SHARE = 0.01


@dataclass(frozen=True)
class Evidence:
    """What a series says, and why.

    verdict: grows, stopped or undecided. code: the deciding observation, one of few, uncovered,
    small, creeping, warming, steady, odds, slowing, flat, known, doubtful, weak, unsettled, hidden,
    sizes, blind. more_x: how much longer to record to decide. shape: the bounded shape that
    explains the curve best, or which of its figures grow where the steadiest do not.
    """

    verdict: str
    code: str
    more_x: float = 0.0
    shape: str = ""


def course(growth: Growth, least: float) -> str:
    """Return how a series goes on: RISES, its floors after warm-up by more than ``least`` in all,
    SLOWS, all of it, or neither ("")."""
    if _slows(growth):
        return SLOWS
    y = growth.y
    if not growth.total > least or len(y) < 2 * WINDOW_COUNT or _step_count(y) < FEWEST_STEPS:
        return ""
    edges, floors = window_floors(growth)
    before = growth.whole_y[growth.whole_x < growth.baseline_x].max(initial=-np.inf)
    rises = len(floors) == WINDOW_COUNT and (np.diff(floors) > 0).all()
    return RISES if rises and y[edges[-1] :].max() > before else ""


def window_floors(growth: Growth) -> tuple[NDArray[np.int64], Floats]:
    """Return where each of the equal parts after warm-up begins, and its floor."""
    y, edges = growth.y, bin_edges(growth.x, WINDOW_COUNT)
    counts = np.diff(np.append(edges, len(y)))
    # The lowest of many is lower than that of a few: as many figures of each part.
    use = np.arange(counts.min())
    chosen = edges[:, None] + use * counts[:, None] // len(use)
    return edges, y[chosen].min(axis=1)


def _slows(growth: Growth) -> bool:
    """Whether exact growth has a lower pace in each part of the run than in the one before.

    By seconds the pace of the work itself wanders: a pace that falls says nothing there.
    """
    x, y = growth.whole_x, growth.whole_y
    if growth.unit != "iteration" or len(y) < 2 * WINDOW_COUNT or given_back(y) > EXACT_SHARE:
        return False
    # The usual pace: a table that doubles now and then is none.
    parts = np.split(np.diff(y) / np.diff(x), bin_edges(x, WINDOW_COUNT)[1:])
    paces = np.array([np.median(part) for part in parts if len(part)])
    return len(paces) == WINDOW_COUNT and bool((paces[1:] < EVEN_SHARE * paces[:-1]).all())


def _step_count(values: Floats) -> float:
    """Effective number of steps a series is made of (Kish): few large ones count as few."""
    moves = np.diff(values)
    square = float(moves @ moves)
    return float(np.abs(moves).sum() ** 2 / square) if square else 0.0


def given_back(values: Floats) -> float:
    """Share of what a series takes that it gives back: 0 for one that never falls."""
    moves = np.diff(values)
    taken = float(moves.clip(min=0).sum())
    return float(-moves.clip(max=0).sum()) / taken if taken else float("inf")
