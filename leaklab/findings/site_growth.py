"""What the suspects of a role gained in one of its processes between two object graphs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leaklab.analysis.heap import HeapTimeline, heap_timeline
from leaklab.verdict.evidence import STOPPED
from leaklab.verdict.heap_study import HeapStudy, study_heap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leaklab.store import RunData

# As many as the table of suspects has rows: a rank says which. Of a site, the lines that gain most.
_MOST_SITES = 20
_MOST_LINES = 64


@dataclass(frozen=True)
class Line:
    """What one line below a site gains: bytes and allocations per unit, and bytes in all."""

    rate: float
    count: float
    gain: float


@dataclass(frozen=True)
class Site:
    """A suspect: its rank, bytes per unit, and its lines. ``keeps_growing``: false where it is no
    leak by itself, for being small, known or flat; what it made may be kept all the same."""

    rank: int
    rate: float
    keeps_growing: bool = True
    lines: tuple[Line, ...] = ()


def sites_between(
    data: RunData, window: tuple[float, float], *, role: str, process: int
) -> list[Site]:
    """Return the suspects that gained between the very dumps, and what each of their lines did.

    ``window``: the marks (or seconds) of the dumps, those of ``process``: another one of the role
    is elsewhere in its work.
    """
    if not len(data.snapshots):
        return []
    study = study_heap(data, role=role)
    timeline = heap_timeline(data, role=role, process=process)
    if study is None or timeline is None:
        return []
    x = timeline.x
    start, end = (min(int(np.searchsorted(x, place)), len(x) - 1) for place in window)
    if end <= start:
        return []
    entries = study.growing[:_MOST_SITES]
    gain, count = (_gained(study, timeline, start, end, count=count) for count in (False, True))
    span = float(x[end] - x[start])
    sites = []
    for rank, entry in enumerate(entries, start=1):
        mine = np.flatnonzero((study.sites.of_stack == entry.site) & (study.known == entry.known))
        rate = float(gain[mine].sum()) / span
        if rate > 0:
            lines = _lines(study, mine, gain[mine], count[mine], span)
            sites.append(Site(rank, rate, entry.evidence.verdict != STOPPED, lines))
    return sites


def _gained(
    study: HeapStudy, timeline: HeapTimeline, start: int, end: int, *, count: bool
) -> NDArray[np.float64]:
    """Return what each stack of the study gained in a timeline of one of its processes."""
    own = timeline.live(end, count=count) - timeline.live(start, count=count)
    _, of_known, of_own = np.intersect1d(
        study.timeline.stack_ids, timeline.stack_ids, return_indices=True
    )
    gained = np.zeros(len(study.timeline.stack_ids))
    gained[of_known] = own[of_own]
    return gained


def _lines(
    study: HeapStudy,
    mine: NDArray[np.intp],
    gain: NDArray[np.float64],
    count: NDArray[np.float64],
    span: float,
) -> tuple[Line, ...]:
    """Return what the lines of a site gained, by its stacks: the innermost frames, whoever called
    them."""
    sites = study.sites
    bare = np.diff(sites.offsets) == 0
    innermost = np.where(bare, -1, np.append(sites.flat, -1)[sites.offsets[:-1]])
    frames, of_stack = np.unique(innermost[mine], return_inverse=True)
    gains = np.bincount(of_stack, weights=gain, minlength=len(frames))
    counts = np.bincount(of_stack, weights=count, minlength=len(frames))
    largest = np.argsort(-gains, kind="stable")[:_MOST_LINES]
    return tuple(
        Line(float(gains[at]) / span, float(counts[at]) / span, float(gains[at]))
        for at in largest[gains[largest] > 0].tolist()
    )
