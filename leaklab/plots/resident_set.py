"""Where resident memory is: live parts below, what allocators keep above, the rest on top."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leaklab.arguments import as_run
from leaklab.findings.rss import PARTS, REST
from leaklab.plots import style
from leaklab.plots.growth_curve import axis_label
from leaklab.present import units

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from leaklab.plots.protocol import RunLike


def resident_set(run: RunLike, ax: Axes | None = None, role: str | None = None) -> Axes:
    """Draw the resident set of a role, by default the one whose grows, as stacked parts.

    Live Python and native memory, what pymalloc and malloc keep free, mapped files, and the rest;
    parts that were not measured are in the rest. Where the parts exceed the resident set (memory
    that was never touched) they are cut to it, so that the upper edge is what the system counts.
    """
    frame = as_run(run).resident(role)
    ax = ax or style.axes()
    style.dress(ax)
    if not len(frame):
        return style.nothing(ax, "resident set size: not measured")
    table = frame.pivot_table(index="x", columns="part", values="bytes", sort=False)
    table = table.reindex(columns=[part for part in PARTS if part in table.columns])
    total = table.sum(axis=1).to_numpy(np.float64)
    x = table.index.to_numpy(np.float64)
    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), 400)).astype(np.int64))
    below = np.zeros(len(x))
    for index, part in enumerate(table.columns):
        height = np.clip(table[part].fillna(0).to_numpy(np.float64), 0, total - below)
        if part == REST:
            height = total - below
        if not (height > 0).any():
            continue
        colour = style.SAME_FILL if part == REST else style.series_colour(index)
        ax.fill_between(x[kept], below[kept], (below + height)[kept], color=colour, alpha=0.8,
                        linewidth=0, label=str(part), gid=str(part))  # fmt: skip
        below = below + height
    ax.plot(x[kept], total[kept], color=style.INK, linewidth=1.2, label="resident set size",
            marker="o" if len(kept) < 2 else None)  # fmt: skip
    ax.set_ylim(bottom=0)
    ax.margins(x=0)
    units.label_axis(ax.yaxis, "rss_bytes")
    ax.set_xlabel(axis_label(frame.attrs.get("unit", "second")))
    style.legend(ax, ncols=3)
    return ax
