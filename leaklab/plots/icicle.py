"""The allocation tree as a still icicle: callers above, what they call below, width is bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import PatchCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import Patch, Rectangle

from leaklab.arguments import as_run
from leaklab.errors import UsageError
from leaklab.plots import style
from leaklab.plots.icicle_layout import (
    METRICS,
    Layout,
    check_metric,
    lay_out,
    metrics_of,
    node_label,
    without_import_machinery,
)
from leaklab.plots.retained_tree import RETAINED_METRICS, retained_nodes
from leaklab.present import units

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_ROW_INCHES = 0.22
# More rows than this do not fit a page; outer calls that only pass on are folded first.
ROW_LIMIT = 26
_SMALLEST_SHARE = 0.002


def allocation_tree(run_or_tree: Any, ax: Axes | None = None, metric: str | None = None) -> Axes:
    """Draw the allocation tree of a run, or an `AllocationTree`, as an icicle.

    ``metric``: live_bytes (the default), growth_bytes, allocation_count, difference (default for a
    tree with before_bytes: orange held more after, blue less), or for a run with an object graph
    retained_bytes and object_count (what keeps how much alive). Colours otherwise say where a call
    comes from. Calls under 0.2 % are left out. Raises UsageError for a metric the tree does not
    have.
    """
    nodes = tree_nodes(run_or_tree, metric)
    metric = check_metric(nodes, metric or default_metric(nodes))
    layout = lay_out(nodes, metric)
    total = float(layout.width[0]) if len(layout.width) else 0.0
    if not total:
        return style.nothing(
            ax or style.axes(height_inches=1.2),
            f"{METRICS[metric]}: nothing recorded for the allocation tree",
        )
    rows = np.flatnonzero(layout.width >= total * _SMALLEST_SHARE)
    level, cut = _levels(layout, rows)
    ax = ax or style.axes(9.0, height_inches(int(level.max()) + 1))
    _draw(ax, layout, rows, level, metric)
    _finish(ax, layout, metric, int(level.max()) + 1, cut)
    return named(ax, getattr(run_or_tree, "label", ""))


def named(ax: Axes, name: str) -> Axes:
    """Put the run's name before the title: of several trees each says whose it is."""
    if name:
        style.title(ax, f"{style.printable(name, 60)}: {ax.get_title(loc='left')}")
    return ax


def height_inches(row_count: int) -> float:
    """How high a figure of that many rows is, with its title and legend."""
    return (row_count + 3) * _ROW_INCHES + 0.2


def tree_nodes(run_or_tree: Any, metric: str | None = None) -> Any:
    """The nodes of a run's tree or of an AllocationTree; of a run's objects for their metrics."""
    if metric in RETAINED_METRICS and hasattr(run_or_tree, "data"):
        nodes = retained_nodes(run_or_tree.data)
        if nodes is None:
            raise UsageError(f"unknown metric of the tree: {metric}; the run has no object graph")
        return nodes
    is_tree = hasattr(run_or_tree, "nodes")
    tree = run_or_tree if is_tree else as_run(run_or_tree).tree()
    return without_import_machinery(tree.nodes)


def default_metric(nodes: Any) -> str:
    """The metric drawn when none is asked for."""
    offered = metrics_of(nodes)
    return "difference" if "difference" in offered else offered[0]


def _levels(layout: Layout, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """The row each call is drawn in (-1: not drawn), and how many calls were too deep.

    Where the tree is too deep for a page, library calls that do nothing but pass on to one other
    call are folded; what is still too deep after that is cut.
    """
    folded = np.zeros(len(layout.parent), bool)
    if layout.depth[rows].max() >= ROW_LIMIT:
        parent, width = layout.parent[rows], layout.width[rows]
        passing = np.zeros(len(layout.parent), bool)
        inner = parent >= 0
        whole = inner & (width >= 0.99 * layout.width[np.maximum(parent, 0)])
        passing[parent[whole]] = True
        library = layout.nodes["origin"].ne("target").to_numpy()
        folded = passing & library & (layout.parent >= 0)
    shown = np.full(len(layout.parent), -1, np.int64)
    for row in rows:  # depth first: a parent's level is known before its children's
        above = shown[layout.parent[row]] if layout.parent[row] >= 0 else -1
        shown[row] = above + (0 if folded[row] else 1)
    level = np.where(folded[rows], -1, shown[rows])
    deep = level >= ROW_LIMIT
    return np.where(deep, -1, level), int(deep.sum())


def _draw(
    ax: Axes, layout: Layout, rows: NDArray[np.int64], level: NDArray[np.int64], metric: str
) -> None:
    total = float(layout.width[0])
    size = style.FONT_SIZE - 1
    width_points = style.width_points(ax)
    gap = total * 0.8 / width_points
    colour_of = _difference_colour if metric == "difference" else _origin_colour
    patches, colours = [], []
    drawn = {int(row) for row, top in zip(rows, level, strict=True) if top >= 0}
    nodes = layout.nodes.iloc[rows].itertuples(index=False)
    for row, top, node in zip(rows, level, nodes, strict=True):
        if top < 0:
            continue
        left, width = float(layout.left[row]), float(layout.width[row])
        patches.append(Rectangle((left, top), max(width - gap, gap / 2), 0.94))
        colours.append(colour_of(node))
        label = node_label(node)
        if layout.parent[row] >= 0 and int(layout.parent[row]) not in drawn:
            label = f"… {label}"  # calls between this one and the row above are folded
        text = style.fitted(style.printable(label), width / total * width_points - 6, size)
        if text:
            ax.text(
                left + 3 * total / width_points,
                top + 0.5,
                text,
                va="center_baseline",
                fontsize=size,
                color=style.TEXT_ON_FILL,
                clip_on=True,
            )
    ax.add_collection(PatchCollection(patches, facecolors=colours, edgecolors="none"))


def _finish(ax: Axes, layout: Layout, metric: str, row_count: int, cut: int) -> None:
    ax.set_facecolor("none")
    ax.set_axis_off()
    ax.set_xlim(0, float(layout.width[0]))
    ax.set_ylim(row_count, 0)
    ax.set_gid(f"icicle {metric}")
    style.title(ax, _heading(layout, metric, cut))
    if metric == "difference":
        handles = [
            Patch(color=style.MORE_FILL, label="more after"),
            Patch(color=style.SAME_FILL, label="the same"),
            Patch(color=style.LESS_FILL, label="less after"),
        ]
    else:
        present = set(layout.nodes["origin"])
        handles = [
            Patch(color=c, label=name) for name, c in style.ORIGIN.items() if name in present
        ]
    style.legend(
        ax,
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.0, 0.0),
        ncols=max(1, len(handles)),
        handlelength=1.0,
    )


def _heading(layout: Layout, metric: str, cut: int) -> str:
    text: Callable[[float], str] = (
        units.count_text if metric.endswith("_count") else units.bytes_text
    )
    root = layout.nodes.iloc[0]
    if metric == "difference":
        heading = f"live bytes: {text(root.before_bytes)} before, {text(root.live_bytes)} after"
    else:
        heading = f"{METRICS[metric]}: {text(float(root[metric]))}"
    return f"{heading} ({cut} deeper calls not drawn)" if cut else heading


def _origin_colour(node: Any) -> str:
    return style.ORIGIN.get(node.origin, style.UNKNOWN_ORIGIN)


def _difference_colour(node: Any) -> str:
    larger = max(node.before_bytes, node.live_bytes, 1)
    change = (node.live_bytes - node.before_bytes) / larger
    end = to_rgb(style.MORE_FILL if change > 0 else style.LESS_FILL)
    part = min(1.0, abs(change)) ** 0.6
    same = to_rgb(style.SAME_FILL)
    red, green, blue = (s + (e - s) * part for s, e in zip(same, end, strict=True))
    return to_hex((red, green, blue))
