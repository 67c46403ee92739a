"""Analyses a kernel's dump in a process of its own: the kernel gets a table, not the graph.

Run as ``python -m leaklab.kernel_audit.sidecar FOLDER`` with the walker's process id and the
inventory as two lines of JSON on standard input: prints progress, then the table as JSON in the
last line. With ``FOLDER ADDRESS LIMIT`` it answers what holds that object, from the graph that is
kept there.
"""

from __future__ import annotations

import json
import pickle
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from leaklab.errors import LeaklabError

DUMP_NAME = "graph.dump"
_GRAPH_NAME = "graph.pickle"
_GRACE_SECONDS = 5.0
_DETAILED_COUNT = 20


def main(arguments: list[str]) -> int:
    """Analyse the dump in a folder, or answer about one object of it."""
    folder = Path(arguments[0])
    try:
        if len(arguments) > 1:
            answer = _holders(folder, int(arguments[1]), int(arguments[2]))
        else:
            request, held = map(json.loads, sys.stdin.read().splitlines())
            answer = _audit(folder, {**request, **held})
    except (LeaklabError, OSError, ValueError, MemoryError) as problem:
        answer = {"error": str(problem) or type(problem).__name__}
    print(json.dumps(answer), flush=True)
    return "error" in answer


def _audit(folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    from leaklab.kernel_audit.attribution import cycles, detail, parts
    from leaklab.kernel_audit.elsewhere import elsewhere
    from leaklab.object_graph.file import read_dump
    from leaklab.object_graph.grouped import grouped, shared_bytes
    from leaklab.object_graph.paths import path_tree
    from leaklab.recorder.graph import wait_dump

    path = folder / DUMP_NAME
    wait_dump(path, request["pid"], request["limit_seconds"] + _GRACE_SECONDS)
    begun = time.perf_counter()
    dump = read_dump(path)
    dump = replace(dump, size_bytes=dump.allocated_bytes())
    path.unlink()
    print(f"{len(dump.address):,} objects in {dump.walk_seconds:.1f} s", flush=True)
    groups = request["groups"]
    one = grouped(dump, groups, request["ignored"])
    tree = path_tree(one.graph)
    (folder / _GRAPH_NAME).write_bytes(pickle.dumps((one, tree, groups)))
    freed = [
        size and size + group["native_bytes"]
        for size, group in zip(one.freed_bytes(groups), groups, strict=True)
    ]
    least = sorted(freed, reverse=True)[:_DETAILED_COUNT][-1:] or [0]
    return {
        "freed_bytes": freed,
        "enclosing": one.enclosing(),
        "detail": [
            detail(one, tree, int(node), total) if total >= max(1, least[0]) else []
            for node, total in zip(one.nodes.tolist(), freed, strict=True)
        ],
        "shared": [[list(keys), size] for keys, size in shared_bytes(one)],
        "parts": parts(one.graph),
        "cycles": cycles(one.graph),
        "elsewhere": elsewhere(one, tree),
        "object_count": len(dump.address),
        "edge_count": len(dump.source),
        "seen_bytes": int(dump.size_bytes.sum()),
        "walk_seconds": dump.walk_seconds,
        "analysis_seconds": time.perf_counter() - begun,
    }


def _holders(folder: Path, address: int, limit: int) -> dict[str, Any]:
    from leaklab.object_graph.holders import held_by_native, holders_of, node_at

    one, tree, groups = pickle.loads((folder / _GRAPH_NAME).read_bytes())  # noqa: S301 - our own
    node = node_at(one.graph, address)
    holders = holders_of(one.graph, tree, node, one.dominator, one.retained).head(limit)
    dump = one.graph.dump
    return {
        "type": dump.type_names[int(dump.type[node])],
        "retained_bytes": int(one.retained[node]),
        "holders": holders.to_dict("list"),
        "native": held_by_native(one.graph, node),
        "only_names": _only_names(one, groups, node),
    }


def _only_names(one: Any, groups: list[dict[str, Any]], node: int) -> list[str]:
    """Return the names that hold an object, where nothing else does; empty where something does."""
    dump = one.graph.dump
    sources = set(dump.source[dump.target == node].tolist())
    by_name = {
        place: group["names"]
        for place, group in zip(one.nodes.tolist(), groups, strict=True)
        if group["kind"] in ("name", "out")
    }
    if one.graph.root[node] >= 0 or not sources <= by_name.keys():
        return []
    return [name for source in sorted(sources) for name in by_name[source]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
