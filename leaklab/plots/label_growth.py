"""Growth per call by label: a dot for each route or task, a line for its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leaklab.arguments import as_run
from leaklab.errors import UsageError
from leaklab.plots import style
from leaklab.present import units

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from leaklab.plots.protocol import RunLike

ROW_INCHES, FRAME_INCHES = 0.26, 0.9
MOST_LABELS = 16


def labels(run: RunLike, resource: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the growth per call of each label of one resource with its 95 % interval.

    ``resource``: by default the first in which a label leaks, else the first that was told by
    label. What grows most is on top; a label without growth has a line up to what is excluded.
    Raises UsageError for a resource that is not told by label.

    >>> ll.plots.labels(run, "rss_bytes")
    """
    table = shown_rows(run, resource)
    ax = ax or style.axes(height_inches=height_inches(len(table)))
    if not len(table):
        return style.nothing(ax, "no labels: mark(label=...), --mark-on http or --mark-on task")
    name, role = str(table["resource"].iloc[0]), str(table["role"].iloc[0])
    style.dress(ax)
    places = np.arange(len(table))[::-1]
    figures = table[["rate", "rate_low", "rate_high"]].to_numpy(np.float64)
    for place, verdict, (rate, low, high) in zip(places, table["verdict"], figures, strict=True):
        colour = style.VERDICT[verdict]
        if not np.isfinite(rate):
            ax.text(0.0, place, " not told apart", color=style.INK, va="center", fontsize=8)
            continue
        ax.plot([low, high], [place, place], color=colour, linewidth=2.2)
        ax.plot([rate], [place], "o", color=colour, markersize=5, gid=f"rate {place}")
    ax.set_yticks(places, [style.printable(name, 50) for name in table["label"]])
    ax.set_ylim(-0.6, len(table) - 0.4)
    ax.set_xlim(left=min(0.0, ax.get_xlim()[0]))
    units.label_axis(ax.xaxis, name)
    ax.set_xlabel(f"{style.printable(units.title(name, role))}: growth per call")
    return ax


def shown_rows(run: RunLike, resource: str | None = None) -> pd.DataFrame:
    """Return the rows that `labels` draws: of one resource and role, those that grow most."""
    table: pd.DataFrame = as_run(run).labels()
    known = list(dict.fromkeys(table["resource"]))
    if resource is not None and resource not in known:
        allowed = ", ".join(known) or "none: no unit of work was labelled"
        raise UsageError(f"not told by label: {resource}; allowed: {allowed}")
    if resource is not None:
        table = table.loc[table["resource"] == resource]
    if not len(table):
        return table
    leaks = table.loc[table["verdict"] == "leak"]
    chosen = (leaks if len(leaks) else table).iloc[0]
    same = (table["resource"] == chosen["resource"]) & (table["role"] == chosen["role"])
    shown: pd.DataFrame = table.loc[same].head(MOST_LABELS)
    return shown


def height_inches(count: int) -> float:
    """Return how high a figure of so many labels is."""
    return FRAME_INCHES + ROW_INCHES * max(count, 2)
