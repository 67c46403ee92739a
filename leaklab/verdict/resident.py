"""Resident memory beside what is in use: what confirms, what contradicts, and why.

In use is what the exact heap holds or, where none was traced, what allocators count. Either grows
in room that was free inside the process, which resident memory does not show.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from leaklab.analysis.in_use import MALLOC, MALLOC_FREE
from leaklab.analysis.looks import SLOWEST_TRACED
from leaklab.analysis.series import HEAP, MINIMUM_SETTLED, resource_series
from leaklab.present.formatting import amount, rate_text
from leaklab.resources import IN_USE
from leaklab.verdict.evidence import STOPPED
from leaklab.verdict.resources import BOUNDED, INCONCLUSIVE, LEAK, ResourceVerdict, examine

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from leaklab.store import RunData
    from leaklab.verdict.heap_study import HeapStudy

# Resident growth that traced allocations do not explain must reach this to be called a leak, or
# to leave a run undecided: allocators fragment by less.
UNEXPLAINED_BYTES = float(2 << 20)
# Resident growth counts as explained when the heap grew by at least this share of it.
EXPLAINED_SHARE = 0.5
_FREED_FIRST = "freed pages are used first"
# What the figures of malloc make of it, where they grew by as much.
_BY_MALLOC = {
    MALLOC: "in use, past the tracer: it sees no library that looks malloc up for itself, as "
    "ctypes.CDLL(None).malloc does",
    MALLOC_FREE: "that is free: fragmentation",
}
# Warm-up is over after this share of a run, where growth goes on until its end.
WARM_UP_SHARE = 0.25


def reconcile(
    resident: ResourceVerdict,
    series: pd.DataFrame,
    heap: ResourceVerdict,
    study: HeapStudy,
    data: RunData,
) -> ResourceVerdict:
    """The verdict on a role's resident memory (``series``) in the light of that on its heap."""
    if resident.unit != heap.unit or heap.verdict == INCONCLUSIVE:
        return resident
    if heap.verdict == LEAK:
        if resident.verdict == LEAK:
            return resident
        return replace(
            resident,
            why=f"{resident.why}; the heap grew by {rate_text(HEAP, heap.rate, heap.unit)}, "
            f"which resident memory does not show yet: {_FREED_FIRST}",
        )
    if resident.verdict == BOUNDED:
        return resident
    if _explained(resident, series, study):
        why: str | None = "the heap, which is exact, is bounded and explains it"
    else:
        why = _why_garbage(resident, data)
    if why is not None:
        return replace(resident, verdict=BOUNDED, more_x=0.0, why=f"{resident.why}; {why}")
    if resident.verdict == LEAK:
        return replace(
            resident,
            why=f"{resident.why}, and no traced allocation explains it (the heap is bounded): "
            f"{_untraced(resident, data)}",
        )
    return resident


def _untraced(resident: ResourceVerdict, data: RunData) -> str:
    """What resident memory that no traced allocation explains is, as far as malloc tells."""
    grown = resident.last_floor - resident.first_floor
    for name, what in _BY_MALLOC.items():
        series = resource_series(data, name, role=resident.role)
        told = series["value"][series["x"] >= resident.baseline_x]
        gained = float(told.iloc[-1] - told.iloc[0]) if len(told) else 0.0
        if gained > 0 and gained >= EXPLAINED_SHARE * grown:
            return f"malloc has {amount('rss_bytes', gained)} more {what}"
    return "memory taken behind the tracer's back, or fragmentation"


def beside_in_use(resources: Sequence[ResourceVerdict]) -> list[ResourceVerdict]:
    """Return the verdicts with that on resident memory in the light of what allocators count.

    It is not bounded for standing still while it is open whether what is in use grows.
    """
    used = {entry.role: entry for entry in resources if entry.name == IN_USE}
    resident = {entry.role: entry for entry in resources if entry.name == "rss_bytes"}
    found = []
    for entry in resources:
        if entry.name == "rss_bytes" and entry.role in used:
            entry = _unless_hidden(entry, used[entry.role])
        elif entry.name == IN_USE and entry.role in resident:
            entry = _seen_first(entry, resident[entry.role])
        found.append(entry)
    return found


def _seen_first(used: ResourceVerdict, resident: ResourceVerdict) -> ResourceVerdict:
    if used.verdict != LEAK or resident.verdict == LEAK:
        return used
    why = f"{used.why}; resident memory does not show it yet: {_FREED_FIRST}"
    return replace(used, why=why)


def _unless_hidden(resident: ResourceVerdict, used: ResourceVerdict) -> ResourceVerdict:
    if resident.verdict == LEAK or used.verdict == BOUNDED or resident.unit != used.unit:
        return resident
    if used.verdict == LEAK:
        grew = f"what is in use grew by {rate_text(IN_USE, used.rate, used.unit)}"
        why = f"{resident.why}; {grew}, which it does not show yet: {_FREED_FIRST}"
        return replace(resident, why=why)
    if resident.verdict != BOUNDED or not used.decides:
        return resident
    why = (
        f"{resident.why}; but it is open whether what is in use grows, which would not show in it "
        "while there is room inside the process"
    )
    return replace(resident, verdict=INCONCLUSIVE, why=why, more_x=used.more_x, advice=used.advice)


def _explained(resident: ResourceVerdict, series: pd.DataFrame, study: HeapStudy) -> bool:
    """Whether the heap grew with resident memory, since its baseline and in the later half.

    One large reservation, of which an allocator then takes page after page, explains no growth
    that came after it.
    """
    # Over the same part of the run, whatever the heap's own baseline is; a late change of pace must
    # not make the growth before it disappear.
    x, total = study.timeline.x, study.timeline.total()
    own_x, own = series["x"].to_numpy(), series["value"].to_numpy()
    begin_x = min(resident.baseline_x, own_x[0] + WARM_UP_SHARE * (own_x[-1] - own_x[0]))
    begin = int(np.searchsorted(own_x, begin_x))
    gained = resident.last_floor - float(own[begin : begin + 1 + len(own) // 20].min())
    since = min(int(np.searchsorted(x, begin_x)), len(x) - 1)
    half = int(np.searchsorted(x, (x[since] + x[-1]) / 2))
    return all(
        part - float(total[-1] - total[first]) < max(UNEXPLAINED_BYTES, EXPLAINED_SHARE * part)
        for first, part in ((since, gained), (half, gained / 2))
    )


def _why_garbage(resident: ResourceVerdict, data: RunData) -> str | None:
    """Why memory that grows only where nobody collects garbage is no leak; None where it may be.

    Without marks the untraced pass collects nothing and the explain pass does. Memory that is lost
    is lost there too, behind the tracer's back or not; less of it where the pass was stopped
    before the work was done, for the tracer slows it down.
    """
    heap = resource_series(data, HEAP, role=resident.role)
    collected = resource_series(data, "rss_bytes", pass_="explain", role=resident.role)  # noqa: S106
    by_time = {resident.unit, heap.attrs["unit"], collected.attrs["unit"]} == {"second"}
    collection_count = int(heap["quiescent"].sum())
    if not by_time or collection_count < MINIMUM_SETTLED:
        return None
    growth, evidence = examine(collected)
    most = (1 - EXPLAINED_SHARE) * (resident.last_floor - resident.first_floor)
    grown = growth.total
    if any(entry.get("stopped_by") for entry in data.meta.get("passes", ())):
        grown = SLOWEST_TRACED * growth.rate_high * growth.span
    if evidence.verdict != STOPPED or grown > most:
        return None
    change = amount("rss_bytes", growth.last_floor - growth.first_floor, signed=True)
    return (
        f"but it changed by {change} in the explain pass, where garbage was collected "
        f"{collection_count} times: what grew is garbage that waits for the collector"
    )
