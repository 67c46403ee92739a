"""How much a site of the heap must gain before its growth matters."""

from __future__ import annotations

import numpy as np

from leaklab.analysis.heap import HeapTimeline
from leaklab.verdict.evidence import MINIMUM_POINTS
from leaklab.verdict.growth import COSINE_COUNT, T_QUANTILES, Growth

# Growth of one site below this, over the run: the interpreter itself warms up by as much (caches of
# code, types and names), and it matters to nobody.
SITE_MATERIAL_BYTES = 16384.0
# Libraries warm up for hundreds of calls, by more the more of them is loaded: in a short run growth
# must come to this share of the heap, or to the largest that was met.
SHORT_RUN = {"iteration": 200.0, "second": 60.0}
WARM_UP_SHARE = 0.01
WARM_UP_BYTES = 49152.0
# It is no warm-up where this share of the intervals brings the same amount, within so much.
SAME_SHARE = 0.8
SAME_PACE = 0.05
# What levels off, and takes the whole run for it, has come down in the last half to this share of
# the pace of the first.
LEVELLING_PACE = float(np.exp(-0.5))
# Moments in the last half of a run at which a stack is looked at, to see whether it churns.
SETTLED_COLUMNS = 6


def material_bytes(growth: Growth, heap_bytes: float) -> float:
    """Bytes that growth at this rate must come to in the run, in a heap this large, to matter."""
    if growth.span >= SHORT_RUN[growth.unit] or _same_each_time(growth):
        return SITE_MATERIAL_BYTES
    return max(SITE_MATERIAL_BYTES, min(WARM_UP_SHARE * heap_bytes, WARM_UP_BYTES))


def settled_bytes(timeline: HeapTimeline) -> float:
    """The part of the heap that does not come and go: a measure of how much code is loaded."""
    columns = np.linspace(timeline.last_half, timeline.column_count - 1, SETTLED_COLUMNS)
    seen = [timeline.live(column) for column in np.unique(columns.astype(int)).tolist()]
    lowest, highest = np.minimum.reduce(seen), np.maximum.reduce(seen)
    settled = float(lowest[lowest >= highest / 2].sum())
    return min(settled, float(timeline.total()[timeline.last_half :].min()))


def keeps_pace(growth: Growth) -> bool:
    """Whether the last half surely grows faster than what levels off would (95 %).

    A few objects more or less at each look leave that clear. A few large steps do not, and they
    are what code brings that is loaded at its first use.
    """
    paces = np.diff(growth.y) / np.diff(growth.x)
    is_late = growth.x[1:] > (growth.x[:1] + growth.x[-1:]) / 2
    early, late = paces[~is_late], paces[is_late]
    freedom = min(len(early), len(late), COSINE_COUNT + 1) - 1
    if len(paces) < MINIMUM_POINTS or freedom < min(T_QUANTILES):
        return False
    kept = float(late.mean()) - LEVELLING_PACE * float(early.mean())
    error = np.hypot(
        late.std(ddof=1) / np.sqrt(len(late)),
        LEVELLING_PACE * early.std(ddof=1) / np.sqrt(len(early)),
    )
    return bool(early.mean() > 0 and kept > T_QUANTILES[freedom] * error)


def _same_each_time(growth: Growth) -> bool:
    """Whether nearly every interval brings the same amount per unit: a warm-up does not."""
    paces = np.diff(growth.y) / np.diff(growth.x)
    if len(paces) < MINIMUM_POINTS:
        return False
    usual = float(np.median(paces))
    return usual > 0 and float((abs(paces - usual) <= SAME_PACE * usual).mean()) >= SAME_SHARE
