"""Why is this very object alive? For a notebook or a debugger, in the process that holds it."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaklab.errors import LeaklabError
from leaklab.scratch import Scratch

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from leaklab.object_graph.graph import ObjectGraph
    from leaklab.object_graph.paths import PathTree

_LIMIT_SECONDS = 120.0


@dataclass(frozen=True)
class WhyAlive:
    """What holds one object.

    type: its type. retained_bytes: what would be freed with it. holders: DataFrame with the
    columns path (from a root to the object, through one of its holders), holder_type and
    retained_bytes (of the holder); the shortest path first. native: whether more references exist
    than objects hold: native code has them.
    """

    type: str
    retained_bytes: int
    holders: pd.DataFrame
    native: bool

    def __str__(self) -> str:
        lines = [f"{self.type}, retains {self.retained_bytes:,} bytes, is held by"]
        lines += [f"  {path}" for path in self.holders["path"]]
        if self.native:
            lines.append("  native code")
        return "\n".join(lines if len(lines) > 1 else [*lines, "  nothing that could be found"])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        first, *rest = str(self).split("\n")
        items = "".join(f"<li><code>{escape(line.strip())}</code></li>" for line in rest)
        return f"<p>{escape(first)}</p><ul>{items}</ul>"


def why_alive(one: Any, *, limit: int = 10) -> WhyAlive:
    """Return what keeps ``one`` alive: a path from a root for each of at most ``limit`` holders.

    The heap is walked in a copy of this process; nothing of it is changed, no code of ``one``
    runs. Names you hold it by yourself (a notebook's variable) are among the answers. Raises
    LeaklabError when no copy can be made or the object is not found in it.
    """
    from leaklab.object_graph.dominators import immediate_dominators, retained_bytes
    from leaklab.object_graph.graph import ObjectGraph
    from leaklab.object_graph.paths import path_tree

    graph = ObjectGraph(_dump())
    node = _node(graph, id(one))
    dominator = immediate_dominators(graph)
    retained = retained_bytes(graph, dominator)
    holders = _holders(graph, path_tree(graph), node, dominator, retained)
    dump = graph.dump
    known = int((dump.target == node).sum())
    native = known == 0 and graph.root[node] >= 0 and graph.roots[graph.root[node]].kind == "native"
    return WhyAlive(
        dump.type_names[int(dump.type[node])],
        int(retained[node]),
        holders.head(limit).reset_index(drop=True),
        bool(native),
    )


def _dump() -> Any:
    from leaklab.object_graph.file import read_dump
    from leaklab.probe import graph
    from leaklab.recorder.graph import wait_dump

    with Scratch("graph") as folder:
        path = Path(folder) / "graph.dump"
        try:
            done = graph.dump_by_fork(str(path), limit_seconds=_LIMIT_SECONDS)
        except graph.ForkError as problem:
            raise LeaklabError(f"this process cannot be copied: {problem}") from None
        wait_dump(path, done["pid"], _LIMIT_SECONDS + 5)
        return read_dump(path)


def _node(graph: ObjectGraph, address: int) -> int:
    import numpy as np

    place = int(np.searchsorted(graph.dump.address, address))
    if place < graph.count and int(graph.dump.address[place]) == address:
        return place
    raise LeaklabError(
        f"not found in the heap: the object at {address:#x}; "
        "nothing that can be walked holds it (an immortal or a temporary value)"
    )


def _holders(
    graph: ObjectGraph, tree: PathTree, node: int, dominator: np.ndarray, retained: np.ndarray
) -> pd.DataFrame:
    """Return a row per object that holds the node and is not held by it alone."""
    import numpy as np
    import pandas as pd

    from leaklab.object_graph.paths import path_texts, step_further

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
