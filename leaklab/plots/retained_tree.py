"""The object graph as a tree to draw: what keeps how much alive, from the roots inwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leaklab.plots.icicle_layout import depths, subtree_sums

if TYPE_CHECKING:
    from leaklab.store import RunData

# Figures of this tree; everything else belongs to the tree of allocations.
RETAINED_METRICS = ("retained_bytes", "object_count")


def retained_nodes(data: RunData) -> pd.DataFrame | None:
    """The dominator tree of the last complete object graph, or None without one.

    Columns as an allocation tree's nodes: function is the step from what holds it, file the type,
    origin the kind of root; retained_bytes and object_count include everything below. Of several
    processes the first is drawn.
    """
    paths = data.paths
    if not len(paths):
        return None
    paths = paths[paths["tree"].eq("dominator")]
    paths = paths[paths["process"].eq(paths["process"].min())]
    paths = paths[paths["dump"].eq(paths["dump"].max())].sort_values("node")
    if not len(paths):
        return None
    # One root above the roots of the graph; every other node moves one place down.
    parent = np.concatenate([[-1], paths["parent"].to_numpy(np.int64) + 1])
    count = np.concatenate([[0], paths["count"].to_numpy(np.float64)])
    retained = np.concatenate([[0], paths["retained_bytes"].to_numpy(np.float64)])
    retained[0] = retained[1:][parent[1:] == 0].sum()
    depth = depths(parent)
    return pd.DataFrame(
        {
            "node": np.arange(len(parent)),
            "parent": parent,
            "function": _texts("all objects", paths["step"]),
            "file": _texts("", paths["type"]),
            "line": 0,
            "origin": _texts("", paths["kind"]),
            "retained_bytes": retained.astype(np.int64),
            "object_count": subtree_sums(count, parent, depth).astype(np.int64),
        }
    )


def _texts(first: str, column: pd.Series[Any]) -> list[str]:
    return [first, *column.fillna("").astype(str)]
