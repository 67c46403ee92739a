"""Address space that was reserved and is hardly used: mapped, but resident memory did not follow.

Allocators of libraries map far more than they need (mimalloc's arenas take a gigabyte at the first
call); a tracer counts that as allocated, the kernel only what was written to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leaklab.analysis.heap import HeapTimeline, heap_timeline
from leaklab.analysis.series import resource_series

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leaklab.store import RunData
    from leaklab.verdict.heap_study import HeapStudy

MAPPED = "mmap"
# A mapping is a reservation when resident memory took in at most this share of it.
USED_SHARE = 0.5


def reserved_at_end(data: RunData, *, role: str = "main") -> tuple[float, float] | None:
    """Return how much of a role's heap is mapped and hardly used, and its resident memory, bytes.

    At the last snapshot; None where resident memory holds at least half of what is mapped, or where
    either is not known.
    """
    timeline = heap_timeline(data, role=role)
    resident = resource_series(data, "rss_bytes", pass_="explain", role=role)  # noqa: S106
    if timeline is None or not len(resident):
        return None
    mapped = _mapped(data, timeline)
    held_bytes = float(timeline.live(timeline.column_count - 1)[mapped].sum())
    resident_bytes = float(resident["value"].max())
    if not held_bytes or resident_bytes >= USED_SHARE * held_bytes:
        return None
    return held_bytes, resident_bytes


def _mapped(data: RunData, timeline: HeapTimeline) -> NDArray[np.bool_]:
    stacks = data.stacks
    numbers = stacks[stacks["allocator"] == MAPPED]["stack_id"].to_numpy(np.int64)
    mapped: NDArray[np.bool_] = np.isin(timeline.stack_ids, numbers)
    return mapped


def reserved_bytes(data: RunData, study: HeapStudy) -> dict[int, float]:
    """Return bytes that sites have mapped and hardly used, by site number of ``study``.

    A site counts where what it gained is mapped, and all of resident memory gained less than half
    as much over the whole pass. Empty where resident memory was not measured beside the heap.
    """
    mapped = _mapped(data, study.timeline)
    if not mapped.any():
        return {}
    resident = resource_series(data, "rss_bytes", pass_="explain", role=study.role)  # noqa: S106
    if not len(resident):
        return {}
    taken_bytes = float(np.ptp(resident["value"].to_numpy()))
    last = study.timeline.column_count - 1
    live = np.where(mapped, study.timeline.live(last), 0.0)
    by_site = np.bincount(study.sites.of_stack, weights=live, minlength=study.sites.count)
    found = {}
    for entry in study.growing:
        held = float(by_site[entry.site])
        if held > USED_SHARE * entry.gain and taken_bytes < USED_SHARE * held:
            found[entry.site] = held
    return found
