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
from leaklab.analysis.heap_study import study_heap

if TYPE_CHECKING:
    from leaklab.store import RunData

# Two rates agree when they differ by at most this share: list and dict tables grow in steps.
_CLOSE = 0.05
_NEAR = 0.15
_MOST_SITES = 12
_MOST_PARTS = 8
# Shares: of a group, for a site to count at all and as the maker of some of its objects; of the
# growth of all sites, for one that no group explains to be given to the leading group.
_CRUMB = 0.01
_PART = 0.1
_LARGE = 0.25


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
    left = _sites(data, window, role)
    total = sum(site.rate for site in left)
    found: list[Match] = []
    for group in groups:
        match = _match(group, left, groups)
        found.append(match)
        left = [site for site in left if site.rank not in match.ranks]
    main = next((at for at, group in enumerate(groups) if _leads(group, groups)), None)
    large = [site for site in left if site.rate >= _LARGE * total]
    if main is not None and large:
        found[main] = _with_unexplained(found[main], large, groups[main])
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
    rivals = sum(_agree(other.rate, group.rate, _CLOSE) for other in groups) - 1
    alone = "" if not rivals else f", as {rivals} other holders do"
    filling = _filling(group.rate, sites)
    total = sum(site.rate for site in filling)
    if filling and _agree(total, group.rate, _CLOSE):
        sure = "high" if len(filling) == 1 and not rivals else "medium"
        return _said(filling, sure, group, "they gain the same" + alone)
    if filling and _agree(total, group.rate, _NEAR):
        return _said(filling, "low" if rivals else "medium", group, "they gain about it" + alone)
    part = [
        site
        for site in sites
        if site.rate >= _PART * group.rate and _part_of(site.rate, group.parts)
    ]
    if part:
        return _said(part, "medium", group, "they gain what some of its objects do")
    return Match((), None, None)


def _leads(group: GroupGrowth, groups: list[GroupGrowth]) -> bool:
    return group.rate >= 0.5 * sum(other.rate for other in groups)


def _with_unexplained(match: Match, large: list[_Site], group: GroupGrowth) -> Match:
    """Add sites that no object accounts for (native memory has no size that Python could tell)."""
    why = "more than its objects take; native memory, or the only holder that grows"
    said = _said(large, "low", group, why)
    return Match(tuple(sorted({*said.ranks, *match.ranks})), "low", said.evidence)


def _said(sites: list[_Site], confidence: str, group: GroupGrowth, why: str) -> Match:
    figures = " + ".join(f"{site.rate:,.0f}" for site in sites)
    evidence = f"allocated {figures}, held {group.rate:,.0f} bytes per unit: {why}"
    return Match(tuple(sorted(site.rank for site in sites)), confidence, evidence)


def _agree(one: float, other: float, share: float) -> bool:
    return abs(one - other) <= share * max(one, other)


def _filling(rate: float, sites: list[_Site]) -> list[_Site]:
    """Return the largest sites that together stay within ``rate``."""
    chosen: list[_Site] = []
    room = rate * (1 + _CLOSE)
    for site in sorted(sites, key=lambda site: -site.rate):
        if rate * _CRUMB <= site.rate <= room:
            chosen.append(site)
            room -= site.rate
    return chosen


def _part_of(rate: float, parts: tuple[tuple[float, float], ...]) -> bool:
    """Say whether one or two path nodes of a group gain together what a site does."""
    sizes = sorted((size for size, _ in parts), reverse=True)[:_MOST_PARTS]
    return any(
        _agree(sum(chosen), rate, _CLOSE / 2)
        for count in (1, 2)
        for chosen in combinations(sizes, count)
    )
