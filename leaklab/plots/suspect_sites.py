"""The suspects: each site with its share of the growth, its curve and its rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from leaklab.arguments import as_run
from leaklab.plots import style
from leaklab.plots.icicle_layout import place
from leaklab.present import units
from leaklab.present.formatting import worth_showing
from leaklab.verdict.suspects import site_series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from leaklab.plots.protocol import RunLike

ROW_INCHES = 0.46
_CURVE_LEFT, _CURVE_WIDTH, _TEXT_LEFT = 0.60, 0.17, 0.79


def suspects(run: RunLike, ax: Axes | None = None, limit: int = 8) -> Axes:
    """Draw the first suspects, a row each: name and place, share of all growth as a bar, live
    bytes over the run as a sparkline, growth and rate as text."""
    table = worth_showing(as_run(run)).head(limit)
    height = ROW_INCHES * max(1, len(table)) + 0.25
    ax = ax or style.axes(9.0, height)
    if not len(table):
        return style.nothing(ax, "no allocation site kept growing after warm-up")
    ax.set_axis_off()
    ax.set_facecolor("none")
    ax.set_xlim(0, 1)
    ax.set_ylim(len(table), 0)
    points = style.width_points(ax)
    for row, suspect in enumerate(table.itertuples(index=False)):
        _draw_row(ax, run, suspect, row, (_CURVE_LEFT - 0.03) * points)
    return ax


def _draw_row(ax: Axes, run: RunLike, suspect: Any, row: int, room_points: float) -> None:
    size = style.FONT_SIZE
    leaks = bool(np.isfinite(suspect.share))  # a share of the growth has only what leaks
    share = float(suspect.share) if leaks else 0.0
    colour = style.GREW if leaks else style.INK
    ax.barh(
        row + 0.42,
        min(share, 1.0) * (_CURVE_LEFT - 0.03),
        height=0.72,
        left=0.0,
        color=style.GREW,
        alpha=0.22,
        gid=f"share {suspect.rank}",
    )
    name = f"{suspect.number}. {suspect.function}"
    for text, y, bold in ((name, 0.26, True), (place(suspect) or "no file", 0.6, False)):
        ax.text(
            0.008,
            row + y,
            style.fitted(style.printable(text), room_points, size),
            fontsize=size if bold else size - 1,
            color=style.INK,
            va="center",
            fontweight="bold" if bold else "normal",
        )
    series = site_series(run.data, suspect.fingerprint, role=suspect.role)
    if len(series):
        curve = ax.inset_axes((_CURVE_LEFT, row + 0.1, _CURVE_WIDTH, 0.68), transform=ax.transData)
        marks, live = style.thin(
            series["x"].to_numpy(np.float64), series["live_bytes"].to_numpy(np.float64), 200
        )
        curve.plot(marks, live, color=colour, linewidth=1.3, marker="o" if len(live) < 3 else None)
        curve.set_axis_off()
        curve.margins(x=0.02, y=0.1)
        curve.set_gid(f"sparkline {suspect.rank}")
    rate = units.rate_text("heap_bytes", suspect.rate, suspect.unit)
    of = f"{units.share_text(share)} of growth" if leaks else "but not for good"
    # With its sign: beside a heap it would be taken for what is there.
    grew = f"+{units.bytes_text(suspect.growth_bytes)}, {of}"
    ax.text(_TEXT_LEFT, row + 0.26, rate, fontsize=size, color=style.INK, va="center")
    ax.text(_TEXT_LEFT, row + 0.6, grew, fontsize=size - 1, color=style.INK, va="center")
