"""Suspects: the allocation sites whose live bytes grow after the baseline, ranked by growth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leaklab.analysis.growth import BIN_COUNT, Growth, estimate, floors, last_regime
from leaklab.analysis.heap import HeapTimeline, heap_timeline
from leaklab.analysis.sites import USER_ORIGINS, Sites, group_sites, site_fingerprint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leaklab.store import RunData

# Sites looked at closely: enough for any report, few enough for a matrix of all snapshots.
CANDIDATE_COUNT = 256
COLUMNS = (
    "rank",
    "function",
    "file",
    "line",
    "stack",
    "live_bytes",
    "growth_bytes",
    "rate",
    "rate_low",
    "rate_high",
    "unit",
    "share",
    "rising_share",
    "fingerprint",
    "known",
    "role",
    "retained_by",
)


def suspects(
    data: RunData,
    *,
    role: str = "main",
    limit: int = 20,
    user_origins: tuple[str, ...] = USER_ORIGINS,
) -> pd.DataFrame:
    """Sites whose live bytes grew after the baseline, those that keep growing first.

    Columns: rank (from 1), function, file, line, stack (list of {function, file, line}, most
    recent call first), live_bytes (at the last snapshot), growth_bytes (since the baseline), rate
    with rate_low and rate_high (bytes per unit), unit, share (of the growth of all growing sites),
    rising_share (windows in which it grew), fingerprint, known, role, retained_by (filled by the
    retention analysis). Empty where no heap was recorded.
    """
    timeline = heap_timeline(data, role=role)
    if timeline is None or timeline.column_count < 2:
        return pd.DataFrame({name: [] for name in COLUMNS})
    baseline = baseline_column(timeline)
    sites = group_sites(data.stacks, data.frames, timeline.stack_ids, user_origins=user_origins)
    stack_growth = timeline.live(timeline.column_count - 1) - timeline.live(baseline)
    site_growth = np.bincount(sites.of_stack, weights=stack_growth, minlength=sites.count)
    grown = float(site_growth[site_growth > 0].sum())
    candidates = np.argsort(-site_growth, kind="stable")[:CANDIDATE_COUNT]
    candidates = candidates[site_growth[candidates] > 0]
    number = np.full(sites.count, -1, np.int64)
    number[candidates] = np.arange(len(candidates))
    matrix = timeline.grouped(number[sites.of_stack], len(candidates))
    found = [
        (estimate(timeline.x[baseline:], row[baseline:], unit=timeline.unit), site, row)
        for row, site in zip(matrix, candidates, strict=True)
    ]
    found.sort(key=_order)
    rows = [
        _row(sites, stack_growth, growth, int(site), row, float(site_growth[site]), grown)
        for growth, site, row in found[:limit]
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame["rank"] = np.arange(1, len(frame) + 1)
    frame["role"] = role
    return frame


def baseline_column(timeline: HeapTimeline) -> int:
    """The column where warm-up of the role's whole heap ended, never in the last half."""
    floor_x, floor_y = floors(timeline.x, timeline.total(), BIN_COUNT)
    begin = floor_x[last_regime(floor_x, floor_y)]
    column = int(np.searchsorted(timeline.x, begin))
    return min(max(column, timeline.column_count // 10), timeline.column_count // 2)


def _order(found: tuple[Growth, Any, Any]) -> tuple[bool, float]:
    growth, _, row = found
    keeps_growing = growth.rate_low > 0 and growth.rising_share >= 0.5
    return (not keeps_growing, -float(row[-1] - row[0]) if not keeps_growing else -growth.total)


def _row(
    sites: Sites,
    stack_growth: NDArray[np.float64],
    growth: Growth,
    site: int,
    live: NDArray[np.float64],
    growth_bytes: float,
    grown: float,
) -> dict[str, Any]:
    members = np.flatnonzero(sites.of_stack == site)
    stack = int(members[np.argmax(stack_growth[members])])
    place = describe(sites, int(sites.frame[site]))
    return {
        **place,
        "stack": [describe(sites, int(row)) for row in sites.rows(stack)],
        "live_bytes": int(live[-1]),
        "growth_bytes": int(growth_bytes),
        "rate": growth.rate,
        "rate_low": growth.rate_low,
        "rate_high": growth.rate_high,
        "unit": growth.unit,
        "share": growth_bytes / grown if grown else 0.0,
        "rising_share": growth.rising_share,
        "fingerprint": site_fingerprint(sites, stack, site),
        "known": None,
        "retained_by": [],
    }


def describe(sites: Sites, row: int) -> dict[str, Any]:
    """Function, file and line of a frame row; of a stack without frames, that it has none."""
    if row < 0:
        return {"function": "(no Python frame)", "file": "", "line": 0}
    frames = sites.frames
    return {
        "function": str(frames["function"].iat[row]),
        "file": str(frames["file"].iat[row]),
        "line": int(frames["line"].iat[row]),
    }
