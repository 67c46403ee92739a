"""The heap of a run that was traced for a share of its time: estimated by site, counted as a whole.

What the windows saw is growth by site, with an interval from how much it differs between them. It
cannot tell a leak from a full cache whose entries live longer than a window. Whether the heap grows
is told by two counters of the process itself, read at every mark that collects: malloc's bytes in
use, and the blocks of the interpreter's own allocator.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from leaklab.analysis.in_use import BLOCKS, LARGEST_BLOCK_BYTES, MALLOC, SMALLEST_BLOCK_BYTES
from leaklab.analysis.series import processes_of, resource_series
from leaklab.resources import BLOCK_BYTES
from leaklab.verdict.evidence import GROWS, MINIMUM_POINTS, STOPPED, UNDECIDED, Evidence
from leaklab.verdict.growth import T_QUANTILES, Growth, estimate
from leaklab.verdict.heap_material import SITE_MATERIAL_BYTES, material_bytes
from leaklab.verdict.reading import EXACT, read

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leaklab.store import RunData

    Floats = NDArray[np.float64]

# Between so many windows growth by site differs little enough for an interval to be told.
FEWEST_WINDOWS = 4


def window_count(data: RunData, role: str) -> int | None:
    """Return how many windows of tracing a role had; None where it was traced all the time."""
    sampling = [entry.get("sampling") for entry in processes_of(data, role, "explain").values()]
    found = [len(entry["windows"]) for entry in sampling if entry]
    return sum(found) if found else None


@dataclass(frozen=True)
class Counted:
    """What the counters of a process say of its heap.

    growth, evidence: of the bytes in use, small blocks at their usual size; the interval holds what
    growth is whatever their sizes are.
    """

    growth: Growth
    evidence: Evidence


def counted(data: RunData, role: str) -> Counted | None:
    """Return what a process itself counted as in use; None where nothing was counted."""
    used = resource_series(data, MALLOC, role=role)
    blocks = resource_series(data, BLOCKS, role=role)
    if used.attrs["unit"] != "iteration" or blocks.attrs["unit"] != "iteration":
        return None
    both = used.merge(blocks[["x", "value"]], on="x", suffixes=("", "_blocks"))
    if len(both) < MINIMUM_POINTS:
        return None
    x = both["x"].to_numpy(np.float64)
    large, small = (both[name].to_numpy(np.float64) for name in ("value", "value_blocks"))
    total = large + BLOCK_BYTES * small
    growth = estimate(x, total, unit="iteration")
    material = material_bytes(growth, float(total[len(total) // 2 :].min()))
    read_growth, evidence = read(growth, material=material, limits=EXACT)
    others = [
        estimate(x, large + size * small, unit="iteration")
        for size in (SMALLEST_BLOCK_BYTES, LARGEST_BLOCK_BYTES)
    ]
    return Counted(widened(read_growth, others), evidence)


def widened(growth: Growth, others: Iterable[Growth]) -> Growth:
    """Growth with an interval that holds those of the others."""
    every = [growth, *others]
    low, high = min(one.rate_low for one in every), max(one.rate_high for one in every)
    return replace(growth, rate_low=low, rate_high=high)


def by_windows(
    growth: Growth, live: Floats, x: Floats, whole: Counted | None
) -> tuple[Growth, Evidence]:
    """Growth of a site (``live`` bytes at x) with the interval of how it differs between windows.

    It grows where the interval says so and the counters do; where these stand still, or grow by
    less than it seems to, it replaces.
    """
    gains, steps = np.diff(live), np.diff(x)
    span, count = float(steps.sum()), len(gains)
    rate = float(gains.sum()) / span if span > 0 else float("nan")
    error = float("inf")
    if count >= FEWEST_WINDOWS - 1 and span > 0:
        left = gains - rate * steps
        error = float(np.sqrt(count / (count - 1) * (left @ left))) / span
    margin = T_QUANTILES[min(max(count - 1, 2), max(T_QUANTILES))] * error
    sure = rate - margin > 0 and live[-1] - live[0] >= SITE_MATERIAL_BYTES
    verdict, code = UNDECIDED, "few"
    if whole is not None and (
        whole.evidence.verdict == STOPPED or rate - margin > whole.growth.rate_high
    ):
        verdict, code = STOPPED, "flat"
    elif whole is not None and whole.evidence.verdict == GROWS and sure:
        verdict, code = GROWS, "odds"
    measured = replace(
        growth,
        rate=rate,
        rate_low=rate - margin,
        rate_high=rate + margin,
        statistic=rate / error if error > 0 else float("inf"),
    )
    return measured, Evidence(verdict, code)
