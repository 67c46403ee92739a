"""Where each call of an allocation tree goes in an icicle: order, depth, widths.

Both icicles (the matplotlib one and the interactive one) rest on this, so they show the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leaklab.errors import UsageError
from leaklab.present.formatting import line_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

# What a tree can be drawn by, in the order it is offered, and the columns each needs.
METRICS = {
    "live_bytes": "live bytes",
    "growth_bytes": "growth",
    "allocation_count": "allocations",
    "retained_bytes": "retained",
    "object_count": "objects",
    "before_bytes": "live bytes before",
    "difference": "before / after",
}
OTHERS = "(smaller calls)"
_IMPORT_MACHINERY = ("stdlib/frozen importlib", "<frozen importlib")


@dataclass(frozen=True)
class Layout:
    """An icicle: rows of ``nodes`` depth first, the widest sibling first.

    parent: row of the parent (-1: the root). depth: 0 for the root. left, width: in the unit of
    the metric; a child lies within its parent.
    """

    nodes: pd.DataFrame
    parent: Integers
    depth: Integers
    left: Floats
    width: Floats


def metrics_of(nodes: pd.DataFrame) -> list[str]:
    """The metrics this tree can be drawn by."""
    found = [name for name in METRICS if name in nodes.columns]
    return [*found, "difference"] if "before_bytes" in nodes.columns else found


def check_metric(nodes: pd.DataFrame, metric: str) -> str:
    """Return the metric, or raise UsageError naming the ones this tree has."""
    allowed = metrics_of(nodes)
    if metric not in allowed:
        raise UsageError(f"unknown metric of the tree: {metric}; allowed: {', '.join(allowed)}")
    return metric


def lay_out(nodes: pd.DataFrame, metric: str) -> Layout:
    """Order the tree depth first and give each call its place by the metric.

    A call is as wide as what it and its callees hold of the metric, negative parts left out (a
    call whose live bytes shrank has no width in "growth_bytes"). "difference" is as wide as the
    larger of before and after, so that calls that vanished are seen.
    """
    parent = nodes["parent"].to_numpy(np.int64)
    depth = depths(parent)
    weight = _weights(nodes, metric, parent, depth)
    size = subtree_sums(np.ones(len(parent)), parent, depth)
    order = np.lexsort((-weight, parent))
    ahead = _before_siblings(size, parent, order)
    left_of_siblings = _before_siblings(weight, parent, order)
    position = np.zeros(len(parent), np.int64)
    left = np.zeros(len(parent))
    for level in range(1, int(depth.max(initial=0)) + 1):
        rows = np.flatnonzero(depth == level)
        position[rows] = position[parent[rows]] + 1 + ahead[rows].astype(np.int64)
        left[rows] = left[parent[rows]] + left_of_siblings[rows]
    first = np.argsort(position, kind="stable")
    new_parent = np.where(parent[first] < 0, -1, position[parent[first]])
    return Layout(
        nodes.iloc[first].reset_index(drop=True),
        new_parent,
        depth[first],
        left[first],
        weight[first],
    )


def own_values(inclusive: Floats, parent: Integers) -> Floats:
    """What each call holds itself: its value without its callees'."""
    own = inclusive.astype(np.float64).copy()
    inner = parent >= 0
    np.subtract.at(own, parent[inner], inclusive[inner])
    return own


def subtree_sums(own: Floats, parent: Integers, depth: Integers) -> Floats:
    """Sums over each call and everything below it."""
    total = own.astype(np.float64).copy()
    for level in range(int(depth.max(initial=0)), 0, -1):
        rows = np.flatnonzero(depth == level)
        np.add.at(total, parent[rows], total[rows])
    return total


def depths(parent: Integers) -> Integers:
    """Depth of each node; parents come before their children."""
    depth = np.zeros(len(parent), np.int64)
    rows = np.flatnonzero(parent == 0) if len(parent) else parent
    level = 1
    children = np.argsort(parent, kind="stable")
    starts = np.searchsorted(parent[children], np.arange(len(parent)))
    ends = np.searchsorted(parent[children], np.arange(len(parent)), side="right")
    while len(rows):
        depth[rows] = level
        counts = ends[rows] - starts[rows]
        offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        rows = children[np.repeat(starts[rows], counts) + offsets]
        level += 1
    return depth


def without_import_machinery(nodes: pd.DataFrame) -> pd.DataFrame:
    """The tree with the interpreter's own import calls folded into the module that imports.

    They stand six deep between any two modules and say nothing about either.
    """
    parent = nodes["parent"].to_numpy(np.int64)
    folded = nodes["file"].astype(str).str.startswith(_IMPORT_MACHINERY).to_numpy() & (parent >= 0)
    if not folded.any():
        return nodes
    kept_above = parent.copy()
    for node in np.flatnonzero(parent >= 0):  # parents first: theirs is known by now
        if folded[parent[node]]:
            kept_above[node] = kept_above[parent[node]]
    number = np.cumsum(~folded) - 1
    above = kept_above[~folded]
    return (
        nodes[~folded]
        .assign(
            node=np.arange(int((~folded).sum())),
            parent=np.where(above < 0, -1, number[np.maximum(above, 0)]),
        )
        .reset_index(drop=True)
    )


def prune(nodes: pd.DataFrame, limit: int) -> pd.DataFrame:
    """At most about ``limit`` nodes: the smallest subtrees of a call become one "(smaller calls)".

    What a node is worth is its largest share in any column, so that a call that matters in one
    view stays in all. Totals stay what they were.
    """
    if len(nodes) <= limit:
        return nodes
    columns = [c for c in nodes.columns if c.endswith(("_bytes", "_count"))]
    worth = np.zeros(len(nodes))
    for name in columns:
        values = nodes[name].abs().to_numpy(np.float64)
        worth = np.maximum(worth, values / max(1.0, float(values.max())))
    parent = nodes["parent"].to_numpy(np.int64)
    keep = np.zeros(len(nodes), bool)
    # Each cut may leave one node behind that stands for the rest, hence half the limit.
    keep[np.argsort(-worth, kind="stable")[: max(1, limit // 2)]] = True
    keep[0] = True
    for node in np.flatnonzero(keep)[::-1]:  # a kept call needs its callers
        above = parent[node]
        while above >= 0 and not keep[above]:
            keep[above] = True
            above = parent[above]
    cut = ~keep & (parent >= 0)
    cut &= keep[np.where(parent >= 0, parent, 0)]
    rest = nodes[cut].groupby("parent", sort=True)[columns].sum().reset_index()
    rest = rest.assign(function=OTHERS, file="", line=0, origin="")
    number = np.cumsum(keep) - 1
    kept = nodes[keep]
    result = pd.concat([kept, rest], ignore_index=True)[nodes.columns.drop("node")]
    above_new = result["parent"].to_numpy(np.int64)
    result["parent"] = np.where(above_new < 0, -1, number[np.maximum(above_new, 0)])
    result.insert(0, "node", np.arange(len(result)))
    return result


def _weights(nodes: pd.DataFrame, metric: str, parent: Integers, depth: Integers) -> Floats:
    if metric == "difference":
        before, after = (
            np.maximum(own_values(nodes[name].to_numpy(np.float64), parent), 0)
            for name in ("before_bytes", "live_bytes")
        )
        own = np.maximum(before, after)
    else:
        own = np.maximum(own_values(nodes[metric].fillna(0).to_numpy(np.float64), parent), 0)
    return subtree_sums(own, parent, depth)


def _before_siblings(value: Floats, parent: Integers, order: Integers) -> Floats:
    """For each node the sum over the siblings that come before it in ``order``."""
    ordered, group = value[order], parent[order]
    running = np.cumsum(ordered) - ordered
    starts = np.searchsorted(group, group)
    result = np.empty(len(value))
    result[order] = running - running[starts]
    return result


def node_label(node: Any) -> str:
    """A call in one line: function, then file and line."""
    return f"{node.function}  {place(node)}".rstrip()


def place(node: Any) -> str:
    """``file:line`` of a call; nothing where there is no file."""
    return line_text(str(node.file or ""), int(node.line or 0))
