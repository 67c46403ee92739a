"""Pages of memray: figures over time, and stacks where the page is a temporal one."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import numpy as np

from leaklab.errors import LeaklabError
from leaklab.importers.reading import Member, Options, Reading, Series, Source

NAME = "memray-page"
_RECORDS = re.compile(r"const memory_records = (\[.*?\]);\n")
_DATA = re.compile(r"const packed_data = (\{.*?\});\n")
_COMMAND = re.compile(r"Command line: <code>(.*?)</code>", re.DOTALL)
_TIME, _RSS, _HEAP = range(3)
# The heap is told at so many of memray's samples: enough for a verdict.
SNAPSHOT_COUNT = 200


def recognise(source: Source) -> bool:
    """Return whether the file is a page that memray made."""
    head = source.head[:4096].lower()
    return b"<html" in head and (b"memray" in head or "memory_records" in source.text)


def read(source: Source, options: Options) -> Reading:
    """Read resident memory and the heap over time; with ``--temporal`` the stacks too."""
    text = source.text
    match = _RECORDS.search(text)
    if match is None:
        raise LeaklabError(
            f"a memray page without figures over time: {source.path}; make it anew with `memray "
            "flamegraph --temporal CAPTURE`"
        )
    table = _records(match[1], source)
    if len(table) < 2:
        raise LeaklabError(
            f"a memray page with {len(table)} samples: {source.path}; its capture was aggregated "
            "or shorter than 10 ms: record without --aggregate"
        )
    seconds = (table[:, _TIME] - table[0, _TIME]) / 1000
    rss = Series("rss_bytes", seconds, table[:, _RSS])
    data = _packed(text)
    command = _COMMAND.search(text)
    argv = tuple(html.unescape(command[1]).split()) if command else ()
    stacks = bool(data.get("intervals"))
    tables = _heap(seconds, data) if stacks else {}
    heap = Series("gauge:heap_bytes", seconds, table[:, _HEAP])
    what = "with stacks" if stacks else "without stacks: `memray flamegraph --temporal` has them"
    return Reading(
        title="memray page",
        understood=f"{len(table):,} samples of rss_bytes and heap_bytes, {what}",
        members=[Member("main", (rss,) if stacks else (rss, heap), argv=argv)],
        started=float(table[0, _TIME]) / 1000,
        tables=tables,
    )


def _records(text: str, source: Source) -> Any:
    try:
        rows = json.loads(text)
    except ValueError:
        raise LeaklabError(
            f"damaged memray page: {source.path}; its memory_records cannot be read; make it anew"
        ) from None
    if rows and isinstance(rows[0], dict):
        rows = [(row["time"], row["rss"], row["heap"]) for row in rows]
    return np.array(rows, np.float64).reshape(-1, 3)


def _packed(text: str) -> dict[str, Any]:
    match = _DATA.search(text)
    try:
        data = json.loads(match[1]) if match else {}
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _heap(seconds: Any, data: dict[str, Any]) -> dict[str, Any]:
    """Tables of the live heap by stack, from the intervals of a temporal page."""
    count = len(seconds)
    chosen = np.unique(np.linspace(0, count - 1, min(count, SNAPSHOT_COUNT)).astype(int))
    stacks, frames, node_stack = _stacks(data)
    # What is live at sample s: allocated before it (first <= s) and not freed before it.
    place = np.searchsorted(chosen, np.arange(count + 1))
    steps: dict[tuple[int, int], list[int]] = {}
    for first, freed, node, blocks, size in data["intervals"]:
        begin = int(place[min(first, count)])
        end = len(chosen) if freed is None else int(place[min(freed, count)])
        if begin >= end:
            continue
        for at, sign in ((begin, 1), (end, -1)):
            if at < len(chosen):
                step = steps.setdefault((node_stack[node], at), [0, 0])
                step[0] += sign * size
                step[1] += sign * blocks
    rows = _changes(steps)
    live = np.zeros((len(chosen), 2))
    for (_, at), (size, blocks) in steps.items():
        live[at] += size, blocks
    live = np.cumsum(live, axis=0)
    return {
        "frames": frames,
        "stacks": stacks,
        "heap": rows,
        "snapshots": _snapshots(seconds[chosen], live[:, 0], live[:, 1]),
    }


def _changes(steps: dict[tuple[int, int], list[int]]) -> dict[str, list[int]]:
    """Rows of the table of the heap: what is live of a stack after each of its steps."""
    columns: dict[str, list[int]] = {
        "process": [], "snapshot": [], "stack_id": [], "live_bytes": [], "allocation_count": []
    }  # fmt: skip
    live: dict[int, list[int]] = {}
    for stack, at in sorted(steps):
        now = live.setdefault(stack, [0, 0])
        now[0] += steps[stack, at][0]
        now[1] += steps[stack, at][1]
        row = (0, at, stack, now[0], now[1])
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)
    return columns


def _stacks(data: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[int, int]]:
    """Tables of stacks and frames, and the stack that ends at each node of the tree of calls."""
    nodes, strings = data["nodes"], data["strings"]
    parents = {child: parent for parent, list_ in enumerate(nodes["children"]) for child in list_}
    frames: dict[tuple[str, str, int], int] = {}
    stacks: dict[tuple[int, ...], int] = {}
    of_node: dict[int, int] = {}
    for node in {entry[2] for entry in data["intervals"]}:
        ids: list[int] = []
        at = node
        while at and len(ids) < 1000:
            key = (
                html.unescape(strings[nodes["function"][at]]),
                file_name(html.unescape(strings[nodes["filename"][at]])),
                int(nodes["lineno"][at]),
            )
            ids.append(frames.setdefault(key, len(frames)))
            at = parents.get(at, 0)
        of_node[node] = stacks.setdefault(tuple(ids), len(stacks))
    frame_table = {
        "frame_id": list(frames.values()),
        "function": [key[0] for key in frames],
        "file": [key[1] for key in frames],
        "line": [key[2] for key in frames],
        "origin": [origin_of(key[1]) for key in frames],
    }
    stack_table = {
        "stack_id": list(stacks.values()),
        "allocator": ["unknown"] * len(stacks),
        "frame_ids": [list(ids) for ids in stacks],
    }
    return stack_table, frame_table, of_node


def file_name(path: str) -> str:
    """Return the name of a file as runs have it: ``site-packages/…``, ``stdlib/…`` or as it is."""
    for folder in ("/site-packages/", "/dist-packages/"):
        if folder in path:
            return "site-packages/" + path.rsplit(folder, 1)[1]
    if path.startswith("<frozen "):
        return f"stdlib/{path[1:-1]}"
    match = re.match(r".*/lib/python3\.\d+/(.*)", path)
    return f"stdlib/{match[1]}" if match else path


def origin_of(path: str) -> str:
    """Return where a frame of a file named so comes from: target, site-packages, stdlib, native."""
    for origin in ("site-packages", "stdlib"):
        if path.startswith(f"{origin}/"):
            return origin
    return "target" if path.endswith((".py", ".pyw", ".ipynb")) or path[:1] == "<" else "native"


def _snapshots(seconds: Any, heap: Any, blocks: Any) -> dict[str, list[Any]]:
    count = len(seconds)
    return {
        "pass": ["explain"] * count,
        "process": [0] * count,
        "snapshot": list(range(count)),
        "time_seconds": [float(value) for value in seconds],
        "live_bytes": [int(value) for value in heap],
        "allocation_count": [int(value) for value in blocks],
        "stack_count": [1] * count,
        "exact": [True] * count,
        "quiescent": [False] * count,
    }
