"""What holds one object of a graph: a path from a root for each of its holders."""

from __future__ import annotations

import numpy as np
import pandas as pd

from leaklab.errors import LeaklabError
from leaklab.object_graph.graph import ObjectGraph
from leaklab.object_graph.paths import PathTree, path_texts, step_further


def held_by_native(graph: ObjectGraph, node: int) -> bool:
    """Say whether more references exist than objects hold: native code has them."""
    known = int((graph.dump.target == node).sum())
    root = int(graph.root[node])
    return known == 0 and root >= 0 and graph.roots[root].kind == "native"


def node_at(graph: ObjectGraph, address: int) -> int:
    """Return the node of the object at an address; LeaklabError where there is none."""
    place = int(np.searchsorted(graph.dump.address, address))
    if place < graph.count and int(graph.dump.address[place]) == address:
        return place
    raise LeaklabError(
        f"not found in the heap: the object at {address:#x}; "
        "nothing that can be walked holds it (an immortal or a temporary value)"
    )


def holders_of(
    graph: ObjectGraph, tree: PathTree, node: int, dominator: np.ndarray, retained: np.ndarray
) -> pd.DataFrame:
    """Return a row per object that holds the node and is not held by it alone."""
    dump = graph.dump
    edges = [
        edge
        for edge in np.flatnonzero(dump.target == node).tolist()
        if not _below(int(dump.source[edge]), node, dominator)
    ]
    sources = dump.source[edges]
    texts = path_texts(tree, np.unique(tree.node_of[sources]))
    rows = {}
    if graph.root[node] >= 0 and graph.roots[graph.root[node]].kind not in ("native", "cycle"):
        own = path_texts(tree, tree.node_of[[node]])[int(tree.node_of[node])]
        rows[own.path] = ("", 0)
    for edge, source in zip(edges, sources.tolist(), strict=True):
        above = texts.get(int(tree.node_of[source]))
        if above is not None:
            path = step_further(graph, above, dump.texts[int(dump.label[edge])], node).path
            rows.setdefault(path, (above.type, int(retained[source])))
    table = pd.DataFrame(
        [(path, *rest) for path, rest in rows.items()],
        columns=["path", "holder_type", "retained_bytes"],
    )
    return table.sort_values("path", key=lambda paths: paths.str.count(" → "), kind="stable")


def _below(node: int, above: int, dominator: np.ndarray) -> bool:
    """Say whether every path to ``node`` leads through ``above``."""
    while 0 <= node < len(dominator):
        if node == above:
            return True
        node = int(dominator[node])
    return False
