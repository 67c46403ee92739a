"""Why is this very object alive? For a notebook or a debugger, in the process that holds it."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaklab.errors import LeaklabError, UsageError
from leaklab.objgraph_picture import objgraph_svg
from leaklab.present.path_picture import paths_svg
from leaklab.scratch import Scratch

if TYPE_CHECKING:
    import pandas as pd

PICTURES = ("own", "objgraph")
_LIMIT_SECONDS = 120.0


@dataclass(frozen=True)
class WhyAlive:
    """What holds one object.

    type: its type. retained_bytes: what would be freed with it. holders: DataFrame with the
    columns path (from a root to the object, through one of its holders), holder_type and
    retained_bytes (of the holder); the shortest path first. native: whether more references exist
    than objects hold: native code has them. svg: the picture that a notebook shows.
    """

    type: str
    retained_bytes: int
    holders: pd.DataFrame
    native: bool
    svg: str = ""

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
        drawn = self.svg or paths_svg(self.holders["path"].tolist(), self.type)
        picture = f"<div>{drawn}</div>" if len(self.holders) else ""
        return f"<p>{escape(first)}</p>{picture}<ul>{items}</ul>"


def why_alive(one: Any, *, limit: int = 10, picture: str = "own") -> WhyAlive:
    """Return what keeps ``one`` alive: a path from a root for each of at most ``limit`` holders.

    The heap is walked in a copy of this process; nothing of it is changed, no code of ``one``
    runs. Names you hold it by yourself (a notebook's variable) are among the answers. ``picture``:
    what a notebook shows above the paths: "own" (a row of boxes for each path, the holder in
    orange) or "objgraph" (objgraph's graph of referrers, drawn by graphviz: more of what surrounds
    the object, no bytes, and only what the collector tracks).

    >>> ll.why_alive(frame)
    >>> ll.why_alive(frame, picture="objgraph").svg

    Raises LeaklabError when no copy can be made, the object is not found in it, or graphviz is
    missing; UsageError for another picture.
    """
    if picture not in PICTURES:
        raise UsageError(f"no such picture: {picture}; allowed: {', '.join(PICTURES)}")
    svg = objgraph_svg(one) if picture == "objgraph" else ""
    try:
        return _answer(one, limit, svg)
    except BaseException as problem:
        # The graph of the whole process would stay with what is kept of the last error.
        traceback.clear_frames(problem.__traceback__)
        raise


def _answer(one: Any, limit: int, svg: str) -> WhyAlive:
    from leaklab.object_graph.dominators import immediate_dominators, retained_bytes
    from leaklab.object_graph.graph import ObjectGraph
    from leaklab.object_graph.holders import held_by_native, holders_of, node_at
    from leaklab.object_graph.paths import path_tree

    graph = ObjectGraph(dump_of_this_process())
    node = node_at(graph, id(one))
    dominator = immediate_dominators(graph)
    retained = retained_bytes(graph, dominator)
    holders = holders_of(graph, path_tree(graph), node, dominator, retained)
    return WhyAlive(
        graph.dump.type_names[int(graph.dump.type[node])],
        int(retained[node]),
        holders.head(limit).reset_index(drop=True),
        held_by_native(graph, node),
        svg,
    )


def dump_of_this_process() -> Any:
    """Return the object graph of this process, walked in a copy; LeaklabError without one."""
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
