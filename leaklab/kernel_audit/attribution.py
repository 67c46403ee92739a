"""Which part of a process its objects belong to, and what a group's bytes consist of."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from leaklab.kernel_audit.groups import JUPYTER
from leaklab.object_graph.graph import ObjectGraph
from leaklab.object_graph.grouped import GroupedGraph
from leaklab.object_graph.paths import PathTree, path_texts

_STANDARD = frozenset(sys.stdlib_module_names) | {"__main__"}
# Parts that hold less than this share of all bytes are not named one by one.
_LEAST_SHARE = 0.01
_MOST_DETAILS = 3
# One part that holds this share of a group is looked into; several are listed beside each other.
_MOST_OF_IT = 0.9
_DEEPEST = 12


def parts(graph: ObjectGraph) -> list[dict[str, Any]]:
    """Return the parts of the process by bytes: name, bytes, object_count.

    Each object belongs to the root that is nearest to it. Names: yours (under a name of the
    notebook's or what one of its lines frees), leaklab, IPython and Jupyter, Python, uncollected
    cycles, and packages.
    """
    nearest = root_of(graph)
    names = [_part(root.kind, root.name) for root in graph.roots] + ["Python"]
    known = sorted(set(names))
    number = np.array([known.index(name) for name in names])
    part = number[nearest]
    sizes = np.bincount(part, weights=graph.dump.size_bytes.astype("f8"), minlength=len(known))
    counts = np.bincount(part, minlength=len(known))
    least = _LEAST_SHARE * sizes.sum()
    rows: dict[str, dict[str, Any]] = {}
    for name, size, count in zip(known, sizes.tolist(), counts.tolist(), strict=True):
        always = name in ("yours", "leaklab", "IPython and Jupyter")
        shown = name if always or size >= least else "other packages"
        row = rows.setdefault(shown, {"name": shown, "bytes": 0, "object_count": 0})
        row["bytes"] += int(size)
        row["object_count"] += count
    return sorted(rows.values(), key=lambda row: -row["bytes"])


def root_of(graph: ObjectGraph) -> np.ndarray:
    """Return for each node the number of the root that is nearest to it, -1 without."""
    root_of = graph.root.copy()
    for level in graph.levels:
        below = level[graph.root[level] < 0]
        root_of[below] = root_of[graph.parent[below]]
    return root_of


def _part(kind: str, name: str) -> str:
    if kind == "group":
        return "yours"
    if kind == "cycle":
        return "uncollected cycles"
    if kind not in ("module", "leaklab"):
        return "Python"
    package = name.partition(".")[0]
    if name == "__main__":
        return "yours"
    if package == "leaklab":
        return "leaklab"
    if package in JUPYTER:
        return "IPython and Jupyter"
    return "Python" if package in _STANDARD else package


def detail(one: GroupedGraph, tree: PathTree, node: int, total_bytes: int) -> list[list[Any]]:
    """Return what most of a group's bytes are: [path, bytes], the largest first.

    Follows the dominators down while one of them holds nearly all of it.
    """
    for _ in range(_DEEPEST):
        below = np.flatnonzero(one.dominator == node)
        below = below[np.argsort(-one.retained[below], kind="stable")][:_MOST_DETAILS]
        if not len(below) or one.retained[below[0]] < _MOST_OF_IT * one.retained[node]:
            break
        node = int(below[0])
    large = below[one.retained[below] >= total_bytes * (1 - _MOST_OF_IT)]
    texts = path_texts(tree, np.unique(tree.node_of[large])) if len(large) else {}
    return [
        [texts[int(tree.node_of[each])].path, int(one.retained[each])]
        for each in large.tolist()
        if int(tree.node_of[each]) in texts
    ]


def cycles(graph: ObjectGraph) -> dict[str, Any]:
    """Return what nothing holds but itself: bytes, object_count, and its largest types."""
    cyclic = np.array([root.kind == "cycle" for root in graph.roots] + [False])
    nodes = np.flatnonzero(cyclic[root_of(graph)])
    sizes = graph.dump.size_bytes[nodes]
    of_type = np.bincount(graph.dump.type[nodes], weights=sizes.astype("f8"))
    largest = np.argsort(-of_type, kind="stable")[:_MOST_DETAILS]
    return {
        "bytes": int(sizes.sum()),
        "object_count": len(nodes),
        "detail": [
            [graph.dump.type_names[number], int(of_type[number])]
            for number in largest.tolist()
            if of_type[number] >= (1 - _MOST_OF_IT) * sizes.sum() > 0
        ],
    }
