"""Address space that was reserved and is hardly used: mapped, but resident memory did not follow.

Allocators of libraries map far more than they need (mimalloc's arenas take a gigabyte at the first
call); a tracer counts that as allocated, the kernel only what was written to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leaklab.analysis.series import resource_series

if TYPE_CHECKING:
    from leaklab.store import RunData
    from leaklab.verdict.heap_study import HeapStudy

MAPPED = "mmap"
# A mapping is a reservation when resident memory took in at most this share of it.
USED_SHARE = 0.5


def reserved_bytes(data: RunData, study: HeapStudy) -> dict[int, float]:
    """Return bytes that sites have mapped and hardly used, by site number of ``study``.

    A site counts where what it gained is mapped, and all of resident memory gained less than half
    as much over the whole pass. Empty where resident memory was not measured beside the heap.
    """
    stacks = data.stacks
    mapped = stacks[stacks["allocator"] == MAPPED]["stack_id"].to_numpy(np.int64)
    of_site = study.sites.of_stack[np.isin(study.timeline.stack_ids, mapped)]
    if not len(of_site):
        return {}
    resident = resource_series(data, "rss_bytes", pass_="explain", role=study.role)  # noqa: S106
    if not len(resident):
        return {}
    taken_bytes = float(np.ptp(resident["value"].to_numpy()))
    last = study.timeline.column_count - 1
    live = study.timeline.live(last)
    live = np.where(np.isin(study.timeline.stack_ids, mapped), live, 0.0)
    by_site = np.bincount(study.sites.of_stack, weights=live, minlength=study.sites.count)
    found = {}
    for entry in study.growing:
        held = float(by_site[entry.site])
        if held > USED_SHARE * entry.gain and taken_bytes < USED_SHARE * held:
            found[entry.site] = held
    return found
