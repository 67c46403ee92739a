"""Which allocation sites made what a leak group holds: by bytes and counts gained per unit of work.

The tracer knows lines and no objects, the object graph knows objects and no lines; both know how
many bytes each gained per mark. Agreement within a few per cent of figures that are exact to the
byte seldom happens by chance; how sure it is depends on how many other pairs would fit as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from leaklab.analysis.evidence import STOPPED
from leaklab.analysis.suspects import study_heap

if TYPE_CHECKING:
    from leaklab.store import RunData

# Two rates agree when they differ by at most this share: list and dict tables grow in steps.
_CLOSE = 0.05
_NEAR = 0.15
_MOST_SITES = 12
_MOST_PARTS = 14
_SUBSET = 4


@dataclass(frozen=True)
class GroupGrowth:
    """Growth of a leak group: its rate in bytes per unit, and (bytes, objects) per unit of each of
    its path nodes."""

    rate: float
    parts: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Match:
    """Suspects (ranks) that allocate a group; confidence "high", "medium", "low" or None."""

    ranks: tuple[int, ...]
    confidence: str | None
    evidence: str | None


@dataclass(frozen=True)
class _Site:
    rank: int
    rate: float


def match_sites(
    data: RunData, groups: list[GroupGrowth], window: tuple[float, float], *, role: str = "main"
) -> list[Match]:
    """Return for each leak group the suspects whose growth it explains; each suspect once.

    ``window``: the marks (or seconds) of the dumps between which the groups have grown.
    """
    sites = _sites(data, window, role)
    found: list[Match] = []
    for group in groups:
        match = _match(group, sites, groups)
        found.append(match)
        if match.confidence in ("high", "medium"):
            sites = [site for site in sites if site.rank not in match.ranks]
    return found


def _sites(data: RunData, window: tuple[float, float], role: str) -> list[_Site]:
    """Return the growing suspects with what they gained between the very dumps."""
    if not len(data.snapshots):
        return []
    study = study_heap(data, role=role)
    if study is None:
        return []
    x = study.timeline.x
    start, end = (min(int(np.searchsorted(x, place)), len(x) - 1) for place in window)
    if end <= start:
        return []
    sites = []
    for rank, entry in enumerate(study.growing[:_MOST_SITES], start=1):
        rate = float(entry.live[end] - entry.live[start]) / float(x[end] - x[start])
        if rate > 0 and entry.evidence.verdict != STOPPED:
            sites.append(_Site(rank, rate))
    return sites


def _match(group: GroupGrowth, sites: list[_Site], groups: list[GroupGrowth]) -> Match:
    if not sites:
        return Match((), None, None)
    rivals = sum(_agree(other.rate, group.rate, _CLOSE) for other in groups) - 1
    single = [site for site in sites if _agree(site.rate, group.rate, _CLOSE)]
    if len(single) == 1 and not rivals:
        return _said(single, "high", group, "one site and one holder gain the same")
    whole = _sites_that_sum(group.rate, sites)
    if whole and not rivals:
        return _said(whole, "high" if len(whole) == 1 else "medium", group, "together they gain it")
    part = [site for site in sites if _part_of(site.rate, group.parts)]
    if part:
        return _said(part, "medium", group, "they gain what some of its objects do")
    if single:
        return _said(single, "medium", group, f"{rivals} other holders gain as much")
    near = [site for site in sites if _agree(site.rate, group.rate, _NEAR)]
    if near:
        alone = len(near) == 1 and not any(
            other is not group and _agree(other.rate, near[0].rate, _NEAR) for other in groups
        )
        why = "no other pair comes near" if alone else "the nearest in bytes"
        return _said(near[:1], "medium" if alone else "low", group, why)
    if group.rate >= 0.5 * sum(other.rate for other in groups):
        largest = max(sites, key=lambda site: site.rate)
        if largest.rate >= 0.5 * sum(site.rate for site in sites):
            return _said([largest], "low", group, "the largest of both")
    return Match((), None, None)


def _said(sites: list[_Site], confidence: str, group: GroupGrowth, why: str) -> Match:
    figures = " + ".join(f"{site.rate:,.0f}" for site in sites)
    evidence = f"allocated {figures}, held {group.rate:,.0f} bytes per unit: {why}"
    return Match(tuple(site.rank for site in sites), confidence, evidence)


def _agree(one: float, other: float, share: float) -> bool:
    return abs(one - other) <= share * max(one, other)


def _sites_that_sum(rate: float, sites: list[_Site]) -> list[_Site]:
    """Return the fewest sites whose rates sum to ``rate``, none where several sets do."""
    fitting = [site for site in sites if site.rate <= rate * (1 + _CLOSE)]
    for size in range(1, _SUBSET + 1):
        sets = [
            chosen
            for chosen in combinations(fitting, size)
            if _agree(sum(site.rate for site in chosen), rate, _CLOSE)
        ]
        if sets:
            best = min(sets, key=lambda chosen: abs(sum(s.rate for s in chosen) - rate))
            return list(best) if len(sets) <= size + 1 else []
    return []


def _part_of(rate: float, parts: tuple[tuple[float, float], ...]) -> bool:
    """Say whether some path nodes of a group gain together what a site does."""
    sizes = sorted((size for size, _ in parts), reverse=True)[:_MOST_PARTS]
    return any(
        _agree(sum(chosen), rate, _CLOSE / 2)
        for count in range(1, _SUBSET + 1)
        for chosen in combinations(sizes, count)
    )
