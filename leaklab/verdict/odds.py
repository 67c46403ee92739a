"""A series as the table of models sees it: its steadiest summary, and the odds of growing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import expit, ndtri

from leaklab.verdict.posterior import Posterior, fall_places, posterior

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Parts of the run that are looked at, most first: wider ones hold whole teeth.
PARTS = (40, 20, 12)
HALF_PARTS = 20
FEWEST_POINTS = 10
# Places in the run, or its half, at which every hypothesis has models: figures that came in two
# bursts are left with fewer.
FEWEST_PLACES = 5
# The odds of the whole run count up to so much more than those of its last half.
HALF_MORE = 3.0
# What is looked at of each part, in the order of :func:`summaries`, in words.
SUMMARIES = ("lowest figures", "usual figures", "highest figures")


class Summed(NamedTuple):
    """Minimum, median and maximum (``rows``) of each of so many parts of the run, at places u in
    [0, 1], and which ``kind`` of them is the steadiest."""

    u: Floats
    rows: Floats
    kind: int
    parts: int


@dataclass(frozen=True)
class Odds:
    """Whether a series grows, in log odds, and what that rests on.

    log_odds: those of the whole run, less what its last half says against growth. whole: the
    posterior of the whole run, in multiples of ``material``. teeth: how many times it fell by much
    at once. widest_gap: share of the run that was not looked at in one piece. level: its middle, in
    multiples of ``material``. summed: what it was picked from.
    """

    log_odds: float
    whole: Posterior
    teeth: int
    widest_gap: float
    level: float
    summed: Summed

    def left_open(self, probability: float) -> float:
        """Return how much growth over one more run is exceeded with this probability, in multiples
        of what matters; 0 where it is less likely that it grows at all."""
        grows = float(expit(self.log_odds))
        if grows <= probability:
            return 0.0
        spread = (self.whole.high - self.whole.growth) / 2
        return max(self.whole.growth + spread * float(ndtri(1 - probability / grows)), 0.0)


def odds_of(x: Floats, y: Floats, material: float, *, least: float = -np.inf) -> Odds | None:
    """The odds that y (at least `FEWEST_POINTS` figures) over x grows by more than ``material``;
    None where hardly any part of the run was looked at.

    least: odds up to which it does not matter what they are; then the last half is not looked at.
    """
    summed = steadiest(x, y)
    return None if summed is None else _odds(x, y, material, summed, summed.kind, least)


def widest_gap(x: Floats) -> float:
    """Return the share of the run that was not looked at in one piece."""
    return float(np.diff(x).max() / (x[-1] - x[0]))


def _odds(x: Floats, y: Floats, material: float, summed: Summed, kind: int, least: float) -> Odds:
    """The odds of one kind of summary."""
    z = summed.rows[kind] / material
    whole = posterior(summed.u, z)
    begin = max(int(np.searchsorted(x, (x[0] + x[-1]) / 2)) - 1, 0)
    half = 0.0
    if whole.log_odds > least:
        late_u, late = summaries(x[begin:], y[begin:], min(summed.parts, HALF_PARTS))
        if len(late_u) >= FEWEST_PLACES:
            half = posterior(late_u, late[kind] / (material / 2)).log_odds
    return Odds(
        log_odds=min(whole.log_odds + min(half, 0.0), half + HALF_MORE),
        whole=whole,
        teeth=len(fall_places(z)),
        widest_gap=widest_gap(x),
        level=float(np.median(z)),
        summed=summed,
    )


def steadiest(x: Floats, y: Floats) -> Summed | None:
    """The parts of the run in which a summary has the smallest second differences, if there are
    parts enough with figures."""
    best: tuple[float, Summed] | None = None
    for parts in PARTS:
        if best is not None and len(x) <= 1.2 * parts:
            continue
        u, rows = summaries(x, y, parts)
        if len(u) < FEWEST_PLACES:
            continue
        rough = np.abs(np.diff(rows, 2, axis=1)).mean(axis=1) / np.sqrt(parts)
        kind = int(np.argmin(rough))
        if best is None or rough[kind] < best[0]:
            best = float(rough[kind]), Summed(u, rows, kind, parts)
    return None if best is None else best[1]


def beside(odds: Odds, x: Floats, y: Floats, material: float) -> tuple[str, Odds] | None:
    """Return which of the summaries beside that of ``odds`` grows most likely, and its own odds;
    None without any.

    The steadiest one may be a ceiling that every tooth reaches, above a floor that rises.
    """
    u, rows, steady, parts = summed = odds.summed
    if len(x) <= parts:
        return None
    # What grew by twice what matters has a later half that is above the earlier by as much.
    half = len(u) // 2
    rises = rows[:, half:].mean(axis=1) - rows[:, :half].mean(axis=1) > material
    found = [
        (SUMMARIES[kind], _odds(x, y, material, summed, kind, least=0.0))
        for kind in np.flatnonzero(rises).tolist()
        if kind != steady
    ]
    return max(found, key=lambda one: one[1].log_odds, default=None)


def summaries(x: Floats, y: Floats, parts: int) -> tuple[Floats, Floats]:
    """Places u in [0, 1], and minimum, median and maximum of each of so many equal parts of the
    run; three times the figures themselves where they are no more than that."""
    u = (x - x[0]) / (x[-1] - x[0])
    if len(x) <= parts:
        return u, np.stack([y, y, y])
    part = np.minimum((u * parts).astype(np.int64), parts - 1)
    begin = np.flatnonzero(np.diff(part, prepend=-1))
    count = np.diff(np.append(begin, len(x)))
    # As many figures of each part: extremes depend on how many there are.
    use = max(int(np.sort(count)[len(count) // 5]), 1)
    step = np.minimum(count, use)
    edges = np.cumsum(step) - step
    within = np.arange(step.sum()) - np.repeat(edges, step)
    picked = y[np.repeat(begin, step) + within * np.repeat(count, step) // np.repeat(step, step)]
    ordered = y[np.lexsort((y, part))]
    middle = (ordered[begin + (count - 1) // 2] + ordered[begin + count // 2]) / 2
    rows = np.stack(
        [np.minimum.reduceat(picked, edges), middle, np.maximum.reduceat(picked, edges)]
    )
    if len(begin) == parts:  # the same places for every such series: matrices are shared
        return (np.arange(parts) + 0.5) / parts, rows
    return np.add.reduceat(u, begin) / count, rows
