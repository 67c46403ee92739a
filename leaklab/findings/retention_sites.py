"""Which allocation sites made what a leak group holds: by bytes and counts gained per unit of work.

The tracer knows lines and no objects, the object graph knows objects and no lines; both know how
many bytes each gained per mark. Agreement within a few per cent of figures that are exact to the
byte seldom happens by chance; how sure it is depends on how many other pairs would fit as well.

A holder is seldom the work of one line: its table, its keys and its values come from several, and
CPython's free lists hand one line what another had allocated. One line also makes what several
holders keep. So a group is held against whole sites first, alone and together, and what they do not
fill is looked at object by object: what each line below a site gains beside what the objects of
one path node, or of one type, do.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from leaklab.findings.site_growth import Site
from leaklab.verdict.suspects import FREE_LIST_SIZES

# Two rates agree when they differ by at most this share: list and dict tables grow in steps.
_CLOSE = 0.05
_NEAR = 0.15
# Of a group, the path nodes and types that gain most, and those of them looked for in pairs.
_MOST_PARTS = 64
_MOST_PAIRED = 8
# Shares: of a group, for a site to count at all and as the maker of some of its objects; of the
# growth of all sites, for one that no group explains to be given to the leading group.
_CRUMB = 0.01
_PART = 0.1
_LARGE = 0.25
# What lines and objects must have in common: of a group's bytes, to be more than a guess; of those
# of a site, for it to complete what others have made.
_MOSTLY = 0.5
# Types whose own size is all they have. A number is none of them: it may be a native pointer.
_WHOLE_SIZED = frozenset({"bytes", "bytearray", "str", "list", "tuple", "dict", "set", "frozenset"})


@dataclass(frozen=True)
class Part:
    """Growth of one path node: bytes and objects per unit. No objects: it grows in place."""

    rate: float
    count: float
    type: str = ""


@dataclass(frozen=True)
class GroupGrowth:
    """Growth of a leak group: its rate in bytes per unit, and that of each of its path nodes."""

    rate: float
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Match:
    """Suspects (ranks) that allocate a group; confidence "high", "medium", "low" or None."""

    ranks: tuple[int, ...]
    confidence: str | None
    evidence: str | None


NOTHING = Match((), None, None)
# What a line and the objects of a path node both gained: the nodes, bytes per unit, and the line as
# (rank, number).
_Common = tuple[frozenset[int], float, tuple[int, int]]
# What lines are held against: growth of path nodes, and which of the group's they are.
_Wanted = list[tuple[Part, frozenset[int]]]


def match_growth(groups: list[GroupGrowth], sites: list[Site], span: float) -> list[Match]:
    """Return for each group the sites that made it, given the units in which the groups grew.

    Sites that fill a group are that group's alone. Of any other site each line counts once.
    """
    homes = [_belonging(group, sites, span) for group in groups]
    left = sites
    found = []
    for at in range(len(groups)):
        match = _match(at, left, groups, homes)
        found.append(match)
        left = [site for site in left if site.rank not in match.ranks]
    spent: dict[tuple[int, int], float] = {}
    for at, group in enumerate(groups):
        if not found[at].ranks:
            found[at] = _match_parts(group, left, span, spent)
    total = _sum([site for site in sites if site.keeps_growing])
    rest = {site.rank: site.rate for site in left if site.keeps_growing}
    for (rank, _), rate in spent.items():
        if rank in rest:
            rest[rank] -= rate
    lines = {site.rank: site.lines for site in sites}
    large = [
        Site(rank, rate, True, lines[rank]) for rank, rate in rest.items() if rate >= _LARGE * total
    ]
    keepers = [_keeper(site, groups) for site in large]
    for at, group in enumerate(groups):
        mine = [site for site, keeper in zip(large, keepers, strict=True) if keeper == at]
        if mine:
            found[at] = _with_unexplained(found[at], mine, group, _leads(group, groups))
    return found


def _keeper(site: Site, groups: list[GroupGrowth]) -> int | None:
    """Return which group native memory of a site is likely kept by: the one whose objects it has
    blocks for, so many each, if that is true of no other; else the one that leads, if one does."""
    alike = [at for at, group in enumerate(groups) if _has_blocks_for(site, group)]
    if len(alike) == 1:
        return alike[0]
    leading = (at for at, group in enumerate(groups) if _leads(group, groups))
    return next((at for at in leading if not _too_small_for(site, groups[at])), None)


def _too_small_for(site: Site, group: GroupGrowth) -> bool:
    """Say whether a group cannot keep what a site gained: it is text and bytes, which have no
    memory besides the size that Python tells, and that is a crumb of it."""
    types = {part.type for part in group.parts if part.count > 0}
    return bool(types) and types <= _WHOLE_SIZED and group.rate < _PART * site.rate


def _has_blocks_for(site: Site, group: GroupGrowth) -> bool:
    count = sum(line.count for line in site.lines)
    each = [count / part.count for part in group.parts if part.count > 0]
    return any(one > 0.5 and abs(one - round(one)) <= _CLOSE for one in each)


def _belonging(group: GroupGrowth, sites: list[Site], span: float) -> set[int]:
    wanted = _wanted(group)
    blocks = _blocks(group)
    return {site.rank for site in sites if _belongs(site, wanted, blocks, span)}


def _match(at: int, sites: list[Site], groups: list[GroupGrowth], homes: list[set[int]]) -> Match:
    """Match a group with the sites that gain together what it does.

    ``homes``: for each group the sites whose objects it keeps. What another one keeps fills no gap.
    """
    group, belongs, rest = groups[at], homes[at], groups[:at] + groups[at + 1 :]
    elsewhere = set().union(*homes) - belongs
    sites = [site for site in sites if site.rank not in elsewhere]
    alike = [site for site in sites if _agree(site.rate, group.rate, _CLOSE)]
    holders = sum(_agree(other.rate, group.rate, _CLOSE) for other in rest)
    others = [(holders, "holder"), (len(alike) - 1, "site")]
    rivals = [
        f"{count} other {name}{'s' if count > 1 else ''}" for count, name in others if count > 0
    ]
    alone = f", and so may {' and '.join(rivals)}" if rivals else ""
    growing = _filling(group.rate, [site for site in sites if site.keeps_growing])
    # By chance a few of many small sites fill what is missing, so each must be seen to belong.
    filled = _filling(group.rate, [site for site in sites if site.rank in belongs], growing)
    for filling in (filled, growing, alike[:1]):
        if filling and _agree(_sum(filling), group.rate, _CLOSE):
            leaks = filling[0].keeps_growing or filling[0].rank in belongs
            sure = "high" if len(filling) == 1 and leaks and not rivals else "medium"
            apart = len(filling) == 1 and not rivals
            sure = "low" if not apart and _may_be_elsewhere(filling, belongs, rest) else sure
            return _said(filling, sure, group, "they gain the same" + alone)
    if growing and _agree(_sum(growing), group.rate, _NEAR):
        sure = "low" if rivals or _may_be_elsewhere(growing, belongs, rest) else "medium"
        return _said(growing, sure, group, "they gain about it" + alone)
    return NOTHING


def _may_be_elsewhere(filling: list[Site], belongs: set[int], others: list[GroupGrowth]) -> bool:
    """Whether totals alone give a site to a group, and another one has room for it too."""
    return any(
        site.rank not in belongs and site.rate <= other.rate * (1 + _CLOSE)
        for site in filling
        for other in others
    )


def _filling(rate: float, sites: list[Site], chosen: list[Site] | None = None) -> list[Site]:
    """Return ``chosen`` and the largest sites that together come nearest to ``rate``."""
    chosen = list(chosen or ())
    for site in sorted(sites, key=lambda site: -site.rate):
        if site in chosen:
            continue
        missing = rate - _sum(chosen)
        nearer = abs(missing - site.rate) < abs(missing)
        if rate * _CRUMB <= site.rate <= missing + rate * _CLOSE and nearer:
            chosen.append(site)
    return chosen


def _belongs(site: Site, wanted: _Wanted, blocks: dict[int, float], span: float) -> bool:
    """Say whether most of what a site gained is what objects of the group did, or is made of.

    Through a free list one line's objects take memory of several, so each may give a few blocks of
    their sizes, and not all.
    """
    chosen = _chosen(_common(wanted, site, span), set(), set())
    seen = {number for _, _, (_, number) in chosen}
    explained = _rate(chosen)
    for number, line in enumerate(site.lines):
        most = blocks.get(round(line.rate / line.count), 0.0) if line.count > 0 else 0.0
        if number not in seen and 0 < line.count <= most * (1 + _CLOSE):
            explained += line.rate
    return explained >= _MOSTLY * site.rate


def _blocks(group: GroupGrowth) -> dict[int, float]:
    """Return how many blocks of each size the group's objects may be made of, per unit."""
    own_bytes = {name: size for size, name in FREE_LIST_SIZES.items()}
    found: dict[int, float] = {}
    for part in group.parts:
        if part.count > 0:
            whole = round(part.rate / part.count)
            # A dict or a list is one block, its table is another.
            own = own_bytes.get(part.type, whole)
            for size in {whole, own, whole - own} - {0}:
                found[size] = found.get(size, 0.0) + part.count
    return found


def _match_parts(
    group: GroupGrowth, sites: list[Site], span: float, spent: dict[tuple[int, int], float]
) -> Match:
    """Match a group with the sites whose lines gain what some of its objects do.

    ``spent``: the lines that made something already, with their rates; what is used is added.
    """
    wanted = _wanted(group)
    common = {site.rank: _common(wanted, site, span) for site in sites}
    parts: list[tuple[Site, float]] = []
    taken: set[int] = set()
    rivals = False
    while common:
        # The site that explains most first: what others would explain as well is likely its work.
        tried = {rank: _chosen(found, taken, set(spent)) for rank, found in common.items()}
        gained = {rank: _rate(chosen) for rank, chosen in tried.items()}
        most = max(gained.values())
        if most < _PART * group.rate:
            break
        # Where several explain as much of it, there is no saying which of them made it.
        equals = [rank for rank, rate in gained.items() if rate >= most * (1 - _CLOSE)]
        rivals |= len(equals) > 1
        for rank in equals:
            parts.extend((site, gained[rank]) for site in sites if site.rank == rank)
            del common[rank]
        for nodes, rate, place in tried[equals[0]]:
            taken |= nodes
            spent[place] = rate
    if not parts:
        return NOTHING
    share = sum(explained for _, explained in parts) / group.rate
    figures = " + ".join(f"{explained:,.0f} of {site.rate:,.0f}" for site, explained in parts)
    evidence = (
        f"allocated {figures}, held {group.rate:,.0f} bytes per unit: "
        + ("each of them may have made" if rivals else "they gain")
        + " what some of its objects do"
    )
    sure = "medium" if share >= _MOSTLY and not rivals else "low"
    return Match(tuple(sorted(site.rank for site, _ in parts)), sure, evidence)


def _wanted(group: GroupGrowth) -> _Wanted:
    """What lines are held against, largest first: path nodes, those of a type together, pairs."""
    wanted: _Wanted = [
        (part, frozenset([number])) for number, part in enumerate(group.parts) if part.rate > 0
    ]
    wanted.sort(key=lambda one: -one[0].rate)
    largest = [one for one in wanted if one[0].count > 0][:_MOST_PAIRED]
    of_type: dict[str, _Wanted] = {}
    for one in wanted:
        if one[0].count > 0:
            of_type.setdefault(one[0].type, []).append(one)
    wanted += [_together(ones) for ones in of_type.values() if len(ones) > 1]
    # A line makes an object and what hangs on it: as many of the one as of the other.
    wanted += [
        _together([one, other])
        for one, other in combinations(largest, 2)
        if one[0].type != other[0].type and _agree(one[0].count, other[0].count, _CLOSE)
    ]
    wanted.sort(key=lambda one: -one[0].rate)
    return wanted[:_MOST_PARTS]


def _together(ones: _Wanted) -> tuple[Part, frozenset[int]]:
    whole = Part(sum(part.rate for part, _ in ones), sum(part.count for part, _ in ones))
    return whole, frozenset().union(*(numbers for _, numbers in ones))


def _common(wanted: _Wanted, site: Site, span: float) -> list[_Common]:
    """Return what lines of a site and objects of a group both gained, largest first."""
    rate, count, gain = (
        np.array([(line.rate, line.count, line.gain) for line in site.lines], float)
        .reshape(-1, 3)
        .T
    )
    part_rate, part_count = (
        np.array([(part.rate, part.count) for part, _ in wanted], float)
        .reshape(-1, 2)
        .T[:, :, None]
    )
    # An object takes one allocation or more.
    enough = count >= part_count * (1 - _CLOSE)
    same = abs(rate - part_rate) <= _CLOSE / 2 * np.maximum(rate, part_rate)
    # A table grows in steps, which the last snapshot and the last dump may see at two marks; but
    # both know its size to the byte.
    step = np.rint(gain) == np.rint(part_rate * span)
    makes = np.where(part_count > 0, enough & same, step)
    return [
        (wanted[at][1], min(wanted[at][0].rate, site.lines[number].rate), (site.rank, number))
        for at, number in np.argwhere(makes).tolist()
    ]


def _chosen(common: list[_Common], taken: set[int], spent: set[tuple[int, int]]) -> list[_Common]:
    """Return the largest of them that name each line and each path node once."""
    nodes_left, lines_left = set(taken), set(spent)
    chosen = []
    for one in common:
        nodes, _, place = one
        if not nodes & nodes_left and place not in lines_left:
            chosen.append(one)
            nodes_left |= nodes
            lines_left.add(place)
    return chosen


def _rate(common: list[_Common]) -> float:
    return sum(rate for _, rate, _ in common)


def _leads(group: GroupGrowth, groups: list[GroupGrowth]) -> bool:
    return group.rate >= 0.5 * sum(other.rate for other in groups)


def _with_unexplained(match: Match, large: list[Site], group: GroupGrowth, leads: bool) -> Match:
    """Add what no object accounts for (native memory has no size that Python could tell)."""
    why = "the only holder that grows" if leads else "the only holder of as many objects"
    if _sum(large) > group.rate:
        why = f"more than its objects take; native memory, or {why}"
    said = _said(large, "low", group, why)
    evidence = (
        f"{match.evidence}; {_figures(large)} besides: {why}" if match.ranks else said.evidence
    )
    ranks = {*match.ranks, *said.ranks}
    # A site that is known to have made some of it is no guess for having made more besides.
    sure = match.confidence if ranks == set(match.ranks) else "low"
    return Match(tuple(sorted(ranks)), sure, evidence)


def _said(sites: list[Site], confidence: str, group: GroupGrowth, why: str) -> Match:
    evidence = f"allocated {_figures(sites)}, held {group.rate:,.0f} bytes per unit: {why}"
    return Match(tuple(sorted(site.rank for site in sites)), confidence, evidence)


def _figures(sites: list[Site]) -> str:
    return " + ".join(f"{site.rate:,.0f}" for site in sites)


def _agree(one: float, other: float, share: float) -> bool:
    return abs(one - other) <= share * max(one, other)


def _sum(sites: list[Site]) -> float:
    return sum(site.rate for site in sites)
