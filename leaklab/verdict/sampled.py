"""The heap of a run that was traced for a share of its time: estimated by site, counted as a whole.

What the windows saw is growth by site, with an interval from how much it differs between them. It
cannot tell a leak from a full cache whose entries live longer than a window. Whether the heap grows
is told by two counters of the process itself, read at every mark that collects: malloc's bytes in
use, and the blocks of the interpreter's own allocator.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from leaklab.analysis.series import processes_of, resource_series
from leaklab.verdict.evidence import GROWS, MINIMUM_POINTS, STOPPED, UNDECIDED, Evidence
from leaklab.verdict.growth import T_QUANTILES, Growth, estimate
from leaklab.verdict.heap_material import material_bytes
from leaklab.verdict.readers import LIMITS, read

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leaklab.store import RunData

    Floats = NDArray[np.float64]

# The counters are exact: growth is told as soon as it matters.
EXACT = replace(LIMITS, rise=1.0)
# CPython's small blocks are of 16 to 512 bytes; most are of 32 to 96.
BLOCK_BYTES = 64.0
# Between so many windows growth by site differs little enough for an interval to be told.
FEWEST_WINDOWS = 4


def window_count(data: RunData, role: str) -> int | None:
    """Return how many windows of tracing a role had; None where it was traced all the time."""
    sampling = [entry.get("sampling") for entry in processes_of(data, role, "explain").values()]
    found = [len(entry["windows"]) for entry in sampling if entry]
    return sum(found) if found else None


def counted(data: RunData, role: str) -> tuple[Growth, Evidence] | None:
    """Growth of what the process counts as in use, in bytes; None where nothing was counted."""
    used = resource_series(data, "malloc_used_bytes", role=role)
    blocks = resource_series(data, "allocated_blocks_count", role=role)
    if used.attrs["unit"] != "iteration" or blocks.attrs["unit"] != "iteration":
        return None
    both = used.merge(blocks[["x", "value"]], on="x", suffixes=("", "_blocks"))
    if len(both) < MINIMUM_POINTS:
        return None
    x = both["x"].to_numpy(np.float64)
    total = both["value"].to_numpy(np.float64) + BLOCK_BYTES * both["value_blocks"].to_numpy()
    growth = estimate(x, total, unit="iteration")
    gain = float(total[-1] - total[0])
    material = material_bytes(growth, float(total[len(total) // 2 :].min()))
    return read(growth, material=material, whole_gain=gain, limits=EXACT)


def by_windows(
    growth: Growth, live: Floats, x: Floats, whole: Evidence | None, material: float
) -> tuple[Growth, Evidence]:
    """Growth of a site (``live`` bytes at x) with the interval of how it differs between windows.

    It grows where the interval says so and the counters do; where these stand still, it replaces.
    """
    gains, steps = np.diff(live), np.diff(x)
    span, count = float(steps.sum()), len(gains)
    rate = float(gains.sum()) / span if span > 0 else float("nan")
    error = float("inf")
    if count >= FEWEST_WINDOWS - 1 and span > 0:
        left = gains - rate * steps
        error = float(np.sqrt(count / (count - 1) * (left @ left))) / span
    margin = T_QUANTILES[min(max(count - 1, 2), max(T_QUANTILES))] * error
    sure = rate - margin > 0 and live[-1] - live[0] >= material
    verdict, code = UNDECIDED, "few"
    if whole is not None and whole.verdict == STOPPED:
        verdict, code = STOPPED, "settled"
    elif whole is not None and whole.verdict == GROWS and sure:
        verdict, code = GROWS, "noisy"
    measured = replace(
        growth,
        rate=rate,
        rate_low=rate - margin,
        rate_high=rate + margin,
        statistic=rate / error if error > 0 else float("inf"),
    )
    return measured, Evidence(verdict, code)
