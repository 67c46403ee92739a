"""The heap of one role looked at site by site: which sites grow, and which of them leak."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from leaklab.analysis.heap import HeapTimeline, heap_timeline
from leaklab.analysis.lives import longest_life
from leaklab.analysis.series import processes_of, resource_series
from leaklab.analysis.sites import USER_ORIGINS, Sites, group_sites
from leaklab.verdict.evidence import GROWS, STOPPED, UNDECIDED, Evidence, given_back
from leaklab.verdict.growth import BIN_COUNT, Growth, estimate, floors, last_regime
from leaklab.verdict.heap_material import (
    SHORT_RUN,
    SITE_MATERIAL_BYTES,
    keeps_pace,
    material_bytes,
    settled_bytes,
)
from leaklab.verdict.known import known_growers, known_of_stacks
from leaklab.verdict.reading import EXACT, read, unless_rising_at_end
from leaklab.verdict.resources import LEAK, judge_resource
from leaklab.verdict.sampled import Counted, by_windows, counted, window_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leaklab.store import RunData

    Floats = NDArray[np.float64]

# Sites looked at closely: enough for any report, few enough for a matrix of all snapshots.
CANDIDATE_COUNT = 192
# Without snapshots of this last share of the work the heap is not judged.
UNCOVERED_SHARE = 0.25
# The sum excludes the growth of sites when it cannot have grown by this share of theirs.
EXCLUDED_SHARE = 0.5
# Stacks of one site, times snapshots, looked at one by one, at most.
MOST_CELLS = 500_000
# Moves that give back at most this share of what they take stay.
CLEAN_SHARE = 0.1


@dataclass(frozen=True)
class SiteGrowth:
    """One site over the run: where, how it grows, and what that is evidence for."""

    site: int
    known: int
    growth: Growth
    evidence: Evidence
    live: Floats
    count_growth: float

    @property
    def gain(self) -> float:
        """Bytes gained from the baseline to the end."""
        return float(self.growth.y[-1] - self.growth.y[0])

    @property
    def leaks(self) -> bool:
        """Keeps growing, and is no known cache below its ceiling."""
        if self.evidence.verdict != GROWS:
            return False
        return self.known < 0 or self.gain > known_growers()[self.known].ceiling_bytes


@dataclass(frozen=True)
class HeapStudy:
    """The heap of one role, looked at site by site.

    growing: sites that gained bytes, most telling first; none where lines were lost. known: the
    known grower of each stack, -1 without one; its stacks are a site of their own. total: growth of
    the heap without known growers below their ceiling. total_high: the most that it can grow by
    after warm-up (95 %), where it stands still; else infinite. missing_x: marks of the work's end
    that no snapshot covers, where they are too many to judge; else 0.
    window_count: of the windows it was traced in, None where it was traced all the time; counters:
    what the process itself counted then, None without. of_threads: whether threads pile up, so that
    what is allocated without a frame is theirs; it comes after the lines that start them.
    """

    role: str
    timeline: HeapTimeline
    sites: Sites
    known: NDArray[np.int64]
    baseline: int
    growing: tuple[SiteGrowth, ...]
    total: Growth
    total_evidence: Evidence
    total_high: float
    missing_x: float
    window_count: int | None = None
    counters: Counted | None = None
    of_threads: bool = False

    @property
    def leaking(self) -> tuple[SiteGrowth, ...]:
        """Sites that keep growing; none where the sum stands still."""
        return self._unless_excluded([entry for entry in self.growing if entry.leaks])

    @property
    def undecided(self) -> tuple[SiteGrowth, ...]:
        """Sites that may leak, for all that was recorded; none where the sum stands still."""
        found = [entry for entry in self.growing if entry.evidence.verdict == UNDECIDED]
        return self._unless_excluded(found)

    def _unless_excluded(self, found: list[SiteGrowth]) -> tuple[SiteGrowth, ...]:
        """These sites; none where the sum, steady enough to show it, does not grow as they do.

        Free lists and replaced objects move bytes from line to line; the sum stands still.
        """
        rate = sum(entry.growth.rate for entry in found)
        excluded = self.window_count is None and self.total_high < EXCLUDED_SHARE * rate
        return () if excluded else tuple(found)


# A run's tables never change, and a page asks for the same study many times.
_STUDIES: WeakKeyDictionary[RunData, dict[tuple[object, ...], HeapStudy | None]] = (
    WeakKeyDictionary()
)


def study_heap(
    data: RunData, *, role: str = "main", user_origins: tuple[str, ...] = USER_ORIGINS
) -> HeapStudy | None:
    """Study the heap of one role in the explain pass; None where none was recorded."""
    known = _STUDIES.setdefault(data, {})
    key = (role, user_origins)
    if key not in known:
        known[key] = _study(data, role, user_origins)
    return known[key]


def _study(data: RunData, role: str, user_origins: tuple[str, ...]) -> HeapStudy | None:
    timeline = heap_timeline(data, role=role)
    if timeline is None or timeline.column_count < 2:
        return None
    sites = group_sites(data.stacks, data.frames, timeline.stack_ids, user_origins=user_origins)
    known = known_of_stacks(sites, sites.offsets)
    # A known cache behind a user's line is a group of its own.
    group = sites.of_stack * (len(known_growers()) + 1) + known + 1
    distinct, inverse = np.unique(group, return_inverse=True)
    of_stack = inverse.astype(np.int64)
    baseline = baseline_column(timeline)
    last = timeline.column_count - 1
    change = timeline.live(last) - timeline.live(baseline)
    gain = np.bincount(of_stack, weights=change, minlength=len(distinct)).astype(np.float64)
    chosen = np.argsort(-gain, kind="stable")[:CANDIDATE_COUNT]
    chosen = chosen[(gain[chosen] > 0) & _lines_known(data, role)]
    number = np.full(len(distinct), -1, np.int64)
    number[chosen] = np.arange(len(chosen))
    matrix = timeline.grouped(number[of_stack], len(chosen))
    counts = timeline.grouped(number[of_stack], len(chosen), count=True)
    total = timeline.total()
    heap_bytes = settled_bytes(timeline)
    growing = [
        _site_growth(
            timeline, divmod(int(distinct[at]), len(known_growers()) + 1), row, count, heap_bytes
        )
        for at, row, count in zip(chosen, matrix, counts, strict=True)
    ]
    growing = [
        _without_passing(timeline, entry, np.flatnonzero(of_stack == at), heap_bytes)
        for at, entry in zip(chosen, growing, strict=True)
    ]
    windows = window_count(data, role)
    counters = None if windows is None else counted(data, role)
    if windows is not None:
        growing = [_by_windows(one, timeline.x, counters) for one in growing]
    of_threads = _pile_up(data, role, [one for one in growing if sites.frame[one.site] < 0])
    growing.sort(key=lambda one: _telling(one, last=of_threads and sites.frame[one.site] < 0))
    for one in growing:
        if one.known >= 0 and not one.leaks:
            total = total - one.live
    whole, whole_evidence = _weighed_whole(timeline, total, heap_bytes)
    return HeapStudy(
        role=role,
        timeline=timeline,
        sites=sites,
        known=known,
        baseline=baseline,
        growing=tuple(growing),
        total=whole,
        total_evidence=whole_evidence,
        total_high=_most_growth(whole, timeline, total, heap_bytes, baseline)
        if whole_evidence.verdict == STOPPED
        else np.inf,
        # The end is extrapolated to in windows.
        missing_x=_missing(data, role, timeline) if windows is None else 0.0,
        window_count=windows,
        counters=counters,
        of_threads=of_threads,
    )


def _pile_up(data: RunData, role: str, frameless: list[SiteGrowth]) -> bool:
    """Whether sites without a frame leak, and ever more threads are there."""
    if not any(one.leaks for one in frameless):
        return False
    threads = resource_series(data, "thread_count", role=role)
    return len(threads) > 0 and judge_resource(threads).verdict == LEAK


def _lines_known(data: RunData, role: str) -> bool:
    """Whether it was known to the end which line allocates; else the heap is judged by its total.

    Where the target profiles itself, one line is charged with what all of them allocate.
    """
    lost = {
        e.get("process") for e in data.meta.get("events") or () if e.get("kind") == "lines-lost"
    }
    return not lost & set(processes_of(data, role, "explain"))


def _missing(data: RunData, role: str, timeline: HeapTimeline) -> float:
    """Marks after the last snapshot, where they are more than a share of all."""
    if timeline.unit != "iteration":
        return 0.0
    members = longest_life(processes_of(data, role, "explain"))
    marks = sum(entry.get("mark_count") or 0 for entry in members.values())
    missing = marks - float(timeline.x[-1])
    return missing if missing > UNCOVERED_SHARE * marks else 0.0


def baseline_column(timeline: HeapTimeline) -> int:
    """The column where warm-up of the role's whole heap ended, never in the last half."""
    floor_x, floor_y = floors(timeline.x, timeline.total(), BIN_COUNT)
    begin = floor_x[last_regime(floor_x, floor_y)]
    column = int(np.searchsorted(timeline.x, begin))
    return min(max(column, timeline.column_count // 10), timeline.column_count // 2)


def _weighed(
    timeline: HeapTimeline, live: Floats, heap_bytes: float, begin: int = 0
) -> tuple[Growth, Evidence]:
    """How ``live`` (bytes by column) grows from column ``begin`` on, in a heap this large, and what
    that is evidence for."""
    growth = estimate(timeline.x[begin:], live[begin:], unit=timeline.unit)
    material = material_bytes(growth, heap_bytes)
    return read(growth, material=material, one_of_many=True, limits=EXACT)


def _weighed_site(
    timeline: HeapTimeline, live: Floats, heap_bytes: float
) -> tuple[Growth, Evidence]:
    """The same of one site, which is undecided where it is small, and clearly keeps its pace.

    Libraries warm up by as much, but seldom so: nothing was seen that a leak would not bring. In a
    sum over many sites what each brings at another time looks like one pace.
    """
    growth, evidence = _weighed(timeline, live, heap_bytes)
    if evidence.code != "small" or growth.total < SITE_MATERIAL_BYTES or not keeps_pace(growth):
        return growth, evidence
    clear, goes_on = read(growth, material=SITE_MATERIAL_BYTES, one_of_many=True, limits=EXACT)
    if goes_on.verdict != GROWS:
        return growth, evidence
    more = min(material_bytes(growth, heap_bytes) / clear.rate, SHORT_RUN[growth.unit])
    return clear, Evidence(UNDECIDED, "warming", more - growth.span)


def _weighed_whole(
    timeline: HeapTimeline, total: Floats, heap_bytes: float
) -> tuple[Growth, Evidence]:
    """The same of the whole heap, which is not bounded where it rises at its very end."""
    whole, evidence = _weighed(timeline, total, heap_bytes)
    return whole, unless_rising_at_end(whole, evidence, material_bytes(whole, heap_bytes))


def _most_growth(
    whole: Growth, timeline: HeapTimeline, total: Floats, heap_bytes: float, baseline: int
) -> float:
    """What a sum that stands still may grow by at most, by the whole run and what follows warm-up.

    What a start brings is no growth of the work, and widens what the whole run says.
    """
    later, evidence = _weighed(timeline, total, heap_bytes, baseline)
    return min(whole.rate_high, later.rate_high if evidence.verdict == STOPPED else np.inf)


def _site_growth(
    timeline: HeapTimeline,
    place: tuple[int, int],
    live: Floats,
    count: Floats,
    heap_bytes: float,
) -> SiteGrowth:
    site, known = place[0], place[1] - 1
    growth, evidence = _weighed_site(timeline, live, heap_bytes)
    if known >= 0 and evidence.verdict != GROWS:
        evidence = Evidence(STOPPED, "known")
    begin = len(live) - len(growth.y)
    return SiteGrowth(site, known, growth, evidence, live, float(count[-1] - count[begin]))


def _by_windows(entry: SiteGrowth, x: Floats, whole: Counted | None) -> SiteGrowth:
    growth, evidence = by_windows(entry.growth, entry.live, x, whole)
    return replace(entry, growth=growth, evidence=evidence)


def _without_passing(
    timeline: HeapTimeline, entry: SiteGrowth, stacks: NDArray[np.int64], heap_bytes: float
) -> SiteGrowth:
    """The site judged by what stays, where what is in use only for a moment blurs it.

    The two come from different stacks of one line: those that hardly ever give back are judged by
    themselves.
    """
    noisy = given_back(entry.growth.y) > CLEAN_SHARE
    if entry.known >= 0 or entry.evidence.verdict == GROWS or not noisy:
        return entry
    size = len(stacks) * timeline.column_count
    if entry.gain < SITE_MATERIAL_BYTES or len(stacks) < 2 or size > MOST_CELLS:
        return entry
    live = timeline.each(stacks)
    moves = np.diff(live, axis=1)
    taken, lost = moves.clip(min=0).sum(axis=1), -moves.clip(max=0).sum(axis=1)
    stays = lost <= CLEAN_SHARE * taken
    growth, evidence = _weighed(timeline, live[stays].sum(axis=0), heap_bytes)
    return replace(entry, growth=growth, evidence=evidence) if evidence.verdict == GROWS else entry


def _telling(entry: SiteGrowth, *, last: bool) -> tuple[int, bool, float]:
    """Leaking sites first, by rate; then undecided ones, then the rest, by growth. ``last``: of its
    kind."""
    order = 0 if entry.leaks else 2 if entry.evidence.verdict == STOPPED else 1
    return (order, last, -entry.growth.rate if order == 0 else -entry.gain)
