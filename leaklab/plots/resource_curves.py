"""Several resources of the same runs, one panel each, on one axis of iterations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from leaklab.analysis.series import resource_names, resource_series
from leaklab.arguments import check_list
from leaklab.plots import style
from leaklab.plots.growth_curve import as_runs, axis_label, common_unit, name_of, points
from leaklab.present import units
from leaklab.resources import check_name, is_memory

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from leaklab.plots.protocol import RunLike

# More panels than this are no longer read; the page lists every resource in its table.
PANEL_LIMIT = 6
PANEL_INCHES = 1.15
# Of the samples: fewer that differ, and go back, are a passing moment.
_PASSING_SHARE = 0.02


def curves(
    runs: RunLike | Iterable[RunLike],
    names: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw resources (descriptors, threads, gauges …) of one or several runs, a panel each.

    ``names``: the resources, in this order; without it those that move (`interesting`), memory
    left out (`growth` draws it), at most six; where none moves, a line of text says what was
    looked at. Returns the axes that hold the panels (``ax.child_axes``); raises UsageError for a
    resource that there is not.
    """
    check_list("names", names or ())
    for name in names or ():
        check_name(name)
    shown = as_runs(runs)
    wanted = list(names) if names is not None else interesting(shown)
    if names is None and not wanted:
        return style.nothing(ax or style.axes(height_inches=0.6), _unmoved(shown))
    found = {name: [resource_series(run.data, name) for run in shown] for name in wanted}
    found = {name: frames for name, frames in found.items() if any(map(len, frames))}
    host = ax or style.axes(height_inches=0.7 + PANEL_INCHES * max(1, len(found)))
    if not found:
        missing = ", ".join(wanted) or "other resources"
        return style.nothing(host, f"{style.printable(missing, 80)}: not measured")
    host.set_axis_off()
    unit = common_unit([frame for frames in found.values() for frame in frames])
    panels = _panels(host, len(found))
    for panel, (name, frames) in zip(panels, found.items(), strict=True):
        _draw_panel(panel, name, frames, [name_of(run) for run in shown], unit)
    panels[-1].set_xlabel(axis_label(unit))
    if len(shown) > 1:
        style.legend(panels[0], ncols=min(4, len(shown)), bbox_to_anchor=(0.0, 1.18))
    return host


def interesting(runs: Sequence[RunLike]) -> list[str]:
    """Resources worth a panel: those that move in some run. Memory is left out.

    One sample that was another, and went back, is no movement.
    """
    moving: dict[str, None] = {}
    for run in runs:
        for name, values in _counted(run):
            others = int((values != values.median()).sum())
            back = values.iloc[0] == values.iloc[-1]
            if others >= (max(2, _PASSING_SHARE * len(values)) if back else 1):
                moving[name] = None
    return list(moving)[:PANEL_LIMIT]


def _counted(run: RunLike) -> Iterator[tuple[str, pd.Series]]:
    """What was measured beside memory, and is not always nought."""
    for name in resource_names(run.data):
        values = resource_series(run.data, name)["value"].dropna()
        if not is_memory(name) and values.any():
            yield name, values


def _unmoved(runs: Sequence[RunLike]) -> str:
    names = dict.fromkeys(units.title(name) for run in runs for name, _ in _counted(run))
    looked = ", ".join(names)
    return f"nothing else moved: {looked}" if looked else "nothing but memory was measured"


def _panels(host: Axes, count: int) -> list[Axes]:
    gap = 0.35 / count if count > 1 else 0.0
    height = (1 - gap * (count - 1)) / count
    panels: list[Axes] = []
    for index in range(count):
        bottom = max(0.0, 1 - height * (index + 1) - gap * index)
        panel = host.inset_axes((0.0, bottom, 1.0, height), sharex=panels[0] if panels else None)
        style.dress(panel)
        panel.tick_params(labelbottom=index == count - 1)
        panels.append(panel)
    return panels


def _draw_panel(
    panel: Axes, resource: str, frames: Sequence[pd.DataFrame], names: list[str], unit: str
) -> None:
    panel.set_gid(resource)
    lowest, highest = np.inf, -np.inf
    for index, (frame, name) in enumerate(zip(frames, style.labels(names), strict=True)):
        if not len(frame):
            continue
        x, y = points(frame, unit)
        lowest, highest = min(lowest, np.nanmin(y)), max(highest, np.nanmax(y))
        panel.plot(x, y, label=name, **style.line(index, len(x)))
    units.label_axis(panel.yaxis, resource, tick_count=3)
    if lowest == highest:
        # A constant drawn on its own scale looks like noise around nothing.
        panel.set_ylim(min(0.0, lowest), max(1.0, highest * 1.5))
    panel.margins(x=0.01)
    panel.text(
        0.0,
        1.03,
        style.printable(units.title(resource), 60),
        transform=panel.transAxes,
        fontsize=style.FONT_SIZE,
        color=style.INK,
        fontweight="bold",
        va="bottom",
    )
