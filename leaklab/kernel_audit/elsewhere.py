"""What stays although all lines of an audit are executed: held by a library, by its path."""

from __future__ import annotations

from typing import Any

import numpy as np

from leaklab.kernel_audit.attribution import root_of
from leaklab.object_graph.grouped import GroupedGraph, held_besides
from leaklab.object_graph.paths import PathText, PathTree, path_texts

# From this size and this share of everything on. What libraries keep for themselves is smaller: in
# a kernel with pandas, scipy, pyarrow and matplotlib the largest is a table of 0.9 MiB.
_LEAST_BYTES = 1 << 20
_LEAST_SHARE = 0.01


def elsewhere(one: GroupedGraph, tree: PathTree) -> list[dict[str, Any]]:
    """Return the places where much hangs that no group holds: path, type, count, bytes.

    Bytes: of the place and of what is below it, less what is below another place of the list.
    Modules and classes are no places: what is spread over a library is its code. Nor are many
    small objects that native code holds, about which nothing more is known.
    """
    graph = one.graph
    ours = np.array([root.kind in ("leaklab", "cycle") for root in graph.roots] + [False])
    stays = held_besides(one) & ~ours[root_of(graph)] & (tree.node_of >= 0)
    sizes = graph.dump.size_bytes.astype("f8")
    least = max(_LEAST_BYTES, _LEAST_SHARE * float(sizes.sum()))
    count = len(tree.parent)
    below = np.bincount(tree.node_of[stays], weights=sizes[stays], minlength=count).tolist()
    parent = tree.parent.tolist()
    apart = [0.0] * count
    for node in range(count - 1, -1, -1):  # parents come first
        own = below[node]
        if parent[node] >= 0:
            below[parent[node]] += own
            apart[parent[node]] += own if own >= least else 0.0
    found = [node for node in range(count) if below[node] - apart[node] >= least]
    texts = path_texts(tree, np.array(found, dtype="i8"))
    return [
        {
            "path": texts[node].path,
            "type": texts[node].type,
            "count": int(tree.count[node]),
            "bytes": int(below[node] - apart[node]),
        }
        for node in found
        if not _is_code(tree, texts[node].type, node)
        and not (_is_native(texts[node]) and below[node] < tree.count[node] * least)
    ]


def _is_native(place: PathText) -> bool:
    return place.kind == "native" and place.path == place.step


def _is_code(tree: PathTree, kind: str, node: int) -> bool:
    of_module = tree.parent[node] < 0 and kind in ("dict", "module")
    is_class = int(tree.first[node]) in tree.graph.dump.type_node
    return of_module or is_class or kind in ("type", "module", "function")
