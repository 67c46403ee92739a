"""The allocation tree: all stacks merged from the outermost call inwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from leaklab.analysis.heap import heap_timeline
from leaklab.analysis.sites import group_sites
from leaklab.verdict.heap_study import baseline_column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leaklab.store import RunData

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

NODE_COLUMNS = (
    "node",
    "parent",
    "function",
    "file",
    "line",
    "origin",
    "live_bytes",
    "growth_bytes",
    "allocation_count",
)


@dataclass(frozen=True, repr=False)
class AllocationTree:
    """Merged call stacks with what each call holds, itself and below.

    nodes: node (0 is the root, parents come before children), parent (-1 for the root), function,
    file, line, origin, live_bytes (at the last snapshot), growth_bytes (since the baseline),
    allocation_count; a difference of two trees also has before_bytes.
    """

    nodes: pd.DataFrame

    def __repr__(self) -> str:
        live = self.nodes["live_bytes"].to_numpy()[0]
        return f"<AllocationTree: {live:,} bytes live in {len(self.nodes) - 1:,} calls>"


def allocation_tree(data: RunData, *, role: str = "main") -> AllocationTree:
    """Tree of the live heap of a role at its last snapshot; one root node where none is known."""
    timeline = heap_timeline(data, role=role)
    if timeline is None:
        return AllocationTree(_nodes(*(np.empty(0, np.int64),) * 2, data.frames, np.zeros((3, 1))))
    sites = group_sites(data.stacks, data.frames, timeline.stack_ids)
    last = timeline.column_count - 1
    live = timeline.live(last)
    figures = np.stack(
        [live, live - timeline.live(baseline_column(timeline)), timeline.live(last, count=True)]
    )
    # Stacks that hold nothing and held nothing at the baseline say nothing here.
    used = np.flatnonzero(np.abs(figures).sum(axis=0) > 0)
    parent, frame, sums = _merge(sites.offsets, sites.flat, used, figures)
    return AllocationTree(_nodes(parent, frame, sites.frames, sums))


def _merge(
    offsets: Integers, flat: Integers, used: Integers, figures: Floats
) -> tuple[Integers, Integers, Floats]:
    """Level by level from the outermost frame: one node for each parent node and frame."""
    parents, frames = [], []
    sums = [figures[:, used].sum(axis=1, keepdims=True)]
    begin, end = offsets[used], offsets[used + 1]
    figures = figures[:, used]
    node = np.zeros(len(used), np.int64)
    node_count, depth, frame_count = 1, 0, int(flat.max()) + 1 if len(flat) else 1
    while True:
        deeper = end - begin > depth
        if not deeper.any():
            break
        begin, end, node, figures = begin[deeper], end[deeper], node[deeper], figures[:, deeper]
        key = node * frame_count + flat[end - 1 - depth]
        distinct, number = np.unique(key, return_inverse=True)
        parents.append(distinct // frame_count)
        frames.append(distinct % frame_count)
        sums.append(
            np.stack([np.bincount(number, weights=w, minlength=len(distinct)) for w in figures])
        )
        node = node_count + number
        node_count += len(distinct)
        depth += 1
    empty = [np.empty(0, np.int64)]
    return (
        np.concatenate(parents or empty),
        np.concatenate(frames or empty),
        np.concatenate(sums, axis=1),
    )


def _nodes(parent: Integers, frame: Integers, frames: pd.DataFrame, sums: Floats) -> pd.DataFrame:
    inner = frames.iloc[frame]
    return pd.DataFrame(
        {
            "node": np.arange(len(parent) + 1),
            "parent": np.concatenate([[-1], parent]),
            "function": ["all allocations", *inner["function"].astype(str)],
            "file": ["", *inner["file"].astype(str)],
            "line": [0, *inner["line"].astype(int)],
            "origin": ["", *inner["origin"].astype(str)],
            "live_bytes": sums[0].astype(np.int64),
            "growth_bytes": sums[1].astype(np.int64),
            "allocation_count": sums[2].astype(np.int64),
        }
    )


def difference(before: AllocationTree, after: AllocationTree) -> AllocationTree:
    """The tree of ``after`` with before_bytes: what the same call held in ``before``.

    Calls are the same when function and file are, from the root down. Where one function was
    called from several lines, the same line counts first, then the order of lines: lines may have
    shifted. Calls that only ``before`` had are appended with nothing live.
    """
    later = _calls(after.nodes)
    earlier = _calls(before.nodes)
    live = before.nodes["live_bytes"].tolist()
    before_bytes = [0] * len(after.nodes)
    before_bytes[0] = live[0]
    place = [0] * len(live)  # of each node of before, in the result
    added: list[int] = []
    # Parents come before their children, so each group's parent has its place by now.
    for (parent, function, file), mine in sorted(earlier.items(), key=lambda item: item[0][0]):
        theirs = later.get((place[parent], function, file), [])
        for node, match in _matched(mine, theirs):
            if match is None:
                match = len(before_bytes)
                before_bytes.append(0)
                added.append(node)
            place[node] = match
            before_bytes[match] = live[node]
    gone = before.nodes.iloc[added].assign(live_bytes=0, growth_bytes=0, allocation_count=0)
    gone["node"] = [place[node] for node in added]
    gone["parent"] = [place[parent] for parent in gone["parent"]]
    nodes = pd.concat([after.nodes, gone], ignore_index=True) if added else after.nodes
    return AllocationTree(nodes.assign(before_bytes=before_bytes))


def _calls(nodes: pd.DataFrame) -> dict[tuple[int, str, str], list[tuple[int, int]]]:
    """Line and node of the calls of each function below each parent, in order of line."""
    calls: dict[tuple[int, str, str], list[tuple[int, int]]] = {}
    names = ("parent", "function", "file", "line")
    columns = [nodes[name].tolist() for name in names]
    for node, (parent, function, file, line) in enumerate(zip(*columns, strict=True)):
        if parent >= 0:
            calls.setdefault((parent, function, file), []).append((line, node))
    for group in calls.values():
        group.sort()
    return calls


def _matched(
    mine: list[tuple[int, int]], theirs: list[tuple[int, int]]
) -> list[tuple[int, int | None]]:
    """Each of my nodes with one of theirs or None: the same line first, then in order."""
    by_line = dict(theirs)
    same = {line for line, _ in mine if line in by_line}
    rest = iter([node for line, node in theirs if line not in same])
    return [(node, by_line[line] if line in same else next(rest, None)) for line, node in mine]
