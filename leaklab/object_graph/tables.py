"""What a run keeps of one dump: growth needs counts and sizes by type and by path node."""

from __future__ import annotations

import numpy as np
import pandas as pd

from leaklab.object_graph.dominators import depths, immediate_dominators, retained_bytes
from leaklab.object_graph.graph import HeapDump, ObjectGraph
from leaklab.object_graph.paths import (
    PathTree,
    dominator_tree,
    path_table,
    path_texts,
    path_tree,
    retained_by_path,
    retained_by_type,
)

_MOST_PATHS = 20_000
_MOST_DOMINATORS = 3_000


def dump_tables(dump: HeapDump, *, with_dominators: bool = True) -> dict[str, pd.DataFrame]:
    """Return the tables ``objects``, ``paths`` and ``bounds`` of one dump, without its numbers.

    ``objects``: type, count, shallow_bytes, retained_bytes. ``paths``: see graph_paths.path_table,
    with ``tree`` "path" (shortest paths) and, unless told not to, "dominator" (retained sizes that
    nest: a third of the work, to be drawn and not compared). ``bounds``: path and type of the
    objects whose containers hold so many at most, attribute, count (of such objects), bound_count
    and held_count (of all of them together).
    """
    graph = ObjectGraph(dump)
    dominator = immediate_dominators(graph)
    retained = retained_bytes(graph, dominator)
    paths = path_tree(graph)
    table = path_table(
        paths, retained_by_path(paths, retained, dominator), _MOST_PATHS, with_roots=True
    )
    table.insert(0, "tree", "path")
    if with_dominators:
        holders = dominator_tree(graph, dominator, paths)
        icicle = path_table(holders, _sums_below(holders), _MOST_DOMINATORS)
        icicle.insert(0, "tree", "dominator")
        table = pd.concat([table, icicle], ignore_index=True)
    return {
        "objects": _objects(graph, retained_by_type(graph, retained, dominator)),
        "paths": table,
        "bounds": _bounds(paths),
    }


def _bounds(paths: PathTree) -> pd.DataFrame:
    """Sum up the bounds of the objects at each path node."""
    columns = ["path", "type", "attribute", "count", "bound_count", "held_count"]
    sums: dict[tuple[int, str], list[int]] = {}
    for node, attribute, bound, held in paths.graph.dump.bounds:
        place = int(paths.node_of[node])
        if place >= 0:
            one = sums.setdefault((place, str(attribute)), [0, 0, 0])
            for at, value in enumerate((1, int(bound), int(held))):
                one[at] += value
    texts = path_texts(paths, np.array([place for place, _ in sums], dtype="i8"))
    rows = [
        (texts[place].path, texts[place].type, attribute, *values)
        for (place, attribute), values in sums.items()
    ]
    return pd.DataFrame(rows, columns=columns)


def _sums_below(tree: PathTree) -> np.ndarray:
    """Return each path node's own bytes plus those of all below it."""
    total = tree.shallow_bytes.copy()
    size = len(total)
    depth = depths(np.append(np.where(tree.parent < 0, size, tree.parent), size), size)[:size]
    for level in range(int(depth.max(initial=0)), 1, -1):
        nodes = np.flatnonzero(depth == level)
        np.add.at(total, tree.parent[nodes], total[nodes])
    return total


def _objects(graph: ObjectGraph, retained: np.ndarray) -> pd.DataFrame:
    dump = graph.dump
    size = len(dump.type_names)
    frame = pd.DataFrame(
        {
            "type": dump.type_names,
            "count": np.bincount(dump.type, minlength=size),
            "shallow_bytes": np.bincount(
                dump.type, weights=dump.size_bytes.astype("f8"), minlength=size
            ).astype("i8"),
            "retained_bytes": retained,
        }
    )
    frame = frame.groupby("type", as_index=False, sort=False).sum()
    return frame[frame["count"] > 0].sort_values("retained_bytes", ascending=False)
