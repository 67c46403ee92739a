"""Address space that was reserved and is hardly used: allocated, but resident memory is far less.

Allocators of libraries map far more than they need (mimalloc's arenas take a gigabyte at the first
call); a tracer counts that as allocated, the kernel only what was written to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leaklab.analysis.series import processes_of, resource_series, untraced_pass
from leaklab.verdict.heap_study import study_heap

if TYPE_CHECKING:
    from leaklab.store import RunData
    from leaklab.verdict.heap_study import HeapStudy

# What a site holds is a reservation when all resident memory together is at most this share of it.
USED_SHARE = 0.5


def reserved_at_end(data: RunData, *, role: str = "main") -> tuple[float, float] | None:
    """Return bytes of a role's heap that are reserved and hardly used, and resident bytes.

    At the last snapshot; None where there are none, or resident memory was not measured beside it.
    """
    study = study_heap(data, role=role)
    reserved = reserved_bytes(data, study) if study is not None else {}
    if not reserved:
        return None
    return sum(reserved.values()), _resident_bytes(data, role)


def reserved_bytes(data: RunData, study: HeapStudy) -> dict[int, float]:
    """Return what sites hold and hardly use at the last snapshot, by site number of ``study``.

    Each of them holds at least twice as much as was ever resident in all the pass, so most of it
    has never been written to. Empty where resident memory was not measured beside the heap.
    """
    resident_bytes = _resident_bytes(data, study.role)
    if not np.isfinite(resident_bytes):
        return {}
    live = study.timeline.live(study.timeline.column_count - 1)
    held = np.bincount(study.sites.of_stack, weights=live, minlength=study.sites.count)
    sites = np.flatnonzero(USED_SHARE * held > resident_bytes)
    return {int(site): float(held[site]) for site in sites}


def _resident_bytes(data: RunData, role: str) -> float:
    """The most that was resident in the process whose heap was traced; NaN if not measured.

    What is attached to, or traced for a while, was traced and measured in one go: there the figures
    are those of the untraced pass.
    """
    resident = resource_series(data, "rss_bytes", pass_="explain", role=role)  # noqa: S106
    if not len(resident) and _traced_as_measured(data, role):
        resident = resource_series(data, "rss_bytes", role=role)
    return float(resident["value"].max()) if len(resident) else float("nan")


def _traced_as_measured(data: RunData, role: str) -> bool:
    """Say whether the processes whose heap was traced are those of the untraced pass."""
    traced, measured = (
        {(one.get("pid"), one.get("started_seconds")) for one in members.values()}
        for members in (
            processes_of(data, role, "explain"),
            processes_of(data, role, untraced_pass(data)),
        )
    )
    return bool(traced) and traced <= measured and (None, None) not in traced
