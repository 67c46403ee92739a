"""Path nodes: the objects that hang at the same place, counted together.

``app.cache.CACHE → dict value → Page`` is one path node however many pages there are. Objects
are merged when the objects before them on their shortest path are merged, the edge means the
same, and they have the same type; a step that repeats itself (a linked list) stays one node.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from leaklab.analysis.graph import ObjectGraph, Root
from leaklab.analysis.graph_dominators import depths

# More children than this under different textual keys are entries of one table, not fields.
MOST_FIELDS = 40
# Steps that only say how the interpreter does it.
_SILENT = ("__dict__", "cell")
_CONTAINERS = ("value", "key", "item")
_ROOT_NUMBER = re.compile(r"\d+")


# The root's kind, its text, and the type of the object it holds.
RootStep = tuple[str, str, int]
# What a row of the table is worth keeping for: it may be the beginning of something that grows.
_KEPT_COUNT = 3
_KEPT_BYTES = 1024


@dataclass(frozen=True)
class PathTree:
    """Path nodes of one dump, parents first. ``node_of``: path node of each object, -1 without.

    Arrays by path node: ``parent`` (-1 at a root), ``count``, ``shallow_bytes``, ``first`` (one
    of its objects). ``step`` holds what tells it apart below its parent.
    """

    graph: ObjectGraph
    parent: np.ndarray
    count: np.ndarray
    shallow_bytes: np.ndarray
    first: np.ndarray
    step: list[object]
    node_of: np.ndarray


def path_tree(graph: ObjectGraph) -> PathTree:
    """Merge the objects of a graph along their shortest paths."""

    def root_step(node: int) -> RootStep:
        root = graph.roots[int(graph.root[node])]
        return root.kind, root_text(root), int(graph.dump.type[node])

    return _Builder(graph, graph.parent, graph.edge_label, root_step).build(graph.levels)


def dominator_tree(graph: ObjectGraph, dominator: np.ndarray, paths: PathTree) -> PathTree:
    """Merge the objects of a graph along their dominators: sums below a node nest exactly."""
    count = graph.count
    parent = np.where(dominator == count, -1, dominator)
    label = np.where(parent == graph.parent, graph.edge_label, graph.dump.texts.index(""))
    shown = path_texts(paths, np.unique(paths.node_of[dominator == count]))

    def root_step(node: int) -> RootStep:
        number = int(graph.root[node])
        kind = int(graph.dump.type[node])
        if number >= 0:
            return graph.roots[number].kind, root_text(graph.roots[number]), kind
        return "shared", shown[int(paths.node_of[node])].path, kind

    depth = depths(np.append(dominator, -1), count)[:count]
    placed = np.flatnonzero(depth > 0)
    placed = placed[np.argsort(depth[placed], kind="stable")]
    bounds = np.searchsorted(depth[placed], np.arange(1, int(depth.max(initial=0)) + 2))
    levels = [placed[start:end] for start, end in pairwise(bounds.tolist())]
    return _Builder(graph, parent, label, root_step).build(levels)


def path_table(tree: PathTree, retained: np.ndarray, limit: int) -> pd.DataFrame:
    """Return the path nodes worth telling, parents first, at most ``limit`` and their parents.

    Columns: node, parent (-1 at a root), kind (of the root), step, type, path (text), fingerprint
    (stable over dumps, processes and runs), count, shallow_bytes, retained_bytes.
    """
    worth = (tree.count >= _KEPT_COUNT) | (retained >= _KEPT_BYTES)
    kept = np.flatnonzero(worth)
    kept = kept[np.argsort(-retained[kept], kind="stable")][:limit]
    nodes = _with_parents(kept, tree.parent)
    texts = path_texts(tree, nodes)
    number = {node: place for place, node in enumerate(nodes.tolist())}
    rows = [texts[node] for node in nodes.tolist()]
    return pd.DataFrame(
        {
            "node": np.arange(len(nodes), dtype="i4"),
            "parent": [number.get(above, -1) for above in tree.parent[nodes].tolist()],
            "kind": [row.kind for row in rows],
            "step": [row.step for row in rows],
            "type": [row.type for row in rows],
            "path": [row.path for row in rows],
            "fingerprint": [
                hashlib.blake2b(f"{row.path} {row.type}".encode(), digest_size=8).hexdigest()
                for row in rows
            ],
            "count": tree.count[nodes].astype("i8"),
            "shallow_bytes": tree.shallow_bytes[nodes].astype("i8"),
            "retained_bytes": retained[nodes].astype("i8"),
        }
    )


def retained_by_path(tree: PathTree, retained: np.ndarray, dominator: np.ndarray) -> np.ndarray:
    """Return the bytes that the objects of each path node retain, none counted twice."""
    return _topmost_sum(tree.node_of, len(tree.parent), retained, dominator)


def retained_by_type(graph: ObjectGraph, retained: np.ndarray, dominator: np.ndarray) -> np.ndarray:
    """Return the bytes that the objects of each type retain, none counted twice."""
    reached = dominator >= 0
    groups = np.where(reached, graph.dump.type, -1)
    return _topmost_sum(groups, len(graph.dump.type_names), retained, dominator)


def _topmost_sum(
    group: np.ndarray, size: int, retained: np.ndarray, dominator: np.ndarray
) -> np.ndarray:
    """Sum ``retained`` by group, leaving out what an object above of the same group retains."""
    above = np.append(dominator, len(dominator))
    groups = np.append(group, -2)
    counted = group >= 0
    higher = above[:-1]
    for _ in range(3):
        counted &= groups[higher] != group
        higher = above[higher]
    return np.bincount(
        group[counted], weights=retained[counted].astype("f8"), minlength=size
    ).astype("i8")


def _with_parents(nodes: np.ndarray, parent: np.ndarray) -> np.ndarray:
    marked = np.zeros(len(parent), dtype=bool)
    while len(nodes):
        marked[nodes] = True
        nodes = np.unique(parent[nodes])
        nodes = nodes[nodes >= 0]
        nodes = nodes[~marked[nodes]]
    return np.flatnonzero(marked)


def root_text(root: Root) -> str:
    """Return how a root is called in a path."""
    if root.kind in ("module", "leaklab"):
        return root.name
    if root.kind == "thread":
        return f"thread {_ROOT_NUMBER.sub('#', root.name)}: {root.label}()"
    if root.kind == "task":
        return f"task {root.name}()"
    if root.kind == "context":
        return root.name or "context"
    if root.kind == "native":
        return f"held by native code: {root.name}"
    if root.kind == "cycle":
        return f"unreachable cycle: {root.name}"
    return " ".join(filter(None, (root.kind, root.name)))


class _Builder:
    def __init__(
        self,
        graph: ObjectGraph,
        parent: np.ndarray,
        edge_label: np.ndarray,
        root_step: Callable[[int], RootStep],
    ) -> None:
        self._graph = graph
        self._parent = parent
        self._edge_label = edge_label
        self._root_step = root_step
        dump = graph.dump
        self._texts = dump.texts
        self._dict = dump.texts.index("__dict__")
        # What tells objects under the same parent apart, as one number.
        self._names = len(dump.texts) + 1
        self._kinds = len(dump.type_names) * self._names
        self._step = (edge_label.astype("i8") + 1) * self._kinds
        self._step += dump.type.astype("i8") * self._names + (dump.name + 1)
        self._generic = self._generic_labels()
        self.node_of = np.full(graph.count, -1, dtype="i4")
        self._numbers: dict[tuple[int, object], int] = {}
        self._parents: list[int] = []
        self._steps: list[object] = []

    def build(self, levels: list[np.ndarray]) -> PathTree:
        """Place all levels, the roots first, and count."""
        for level in levels:
            self._add(level)
        count = len(self._parents)
        placed = np.flatnonzero(self.node_of >= 0)
        nodes = self.node_of[placed]
        sizes = self._graph.dump.size_bytes[placed].astype("f8")
        first = np.full(count, -1, dtype="i8")
        first[nodes[::-1]] = placed[::-1]
        return PathTree(
            graph=self._graph,
            parent=np.array(self._parents, dtype="i4"),
            count=np.bincount(nodes, minlength=count),
            shallow_bytes=np.bincount(nodes, weights=sizes, minlength=count),
            first=first,
            step=self._steps,
            node_of=self.node_of,
        )

    def _generic_labels(self) -> np.ndarray:
        """Return for each label the one that stands for it among very many."""
        labels = np.arange(len(self._texts) + 1, dtype="i8") - 1
        value = self._texts.index("value")
        for number, text in enumerate(self._texts):
            if text.startswith("["):
                labels[number + 1] = value
        return labels

    def _add(self, level: np.ndarray) -> None:
        """Place one level; what is above it is placed."""
        parents = self._parent[level]
        for node in level[parents < 0].tolist():
            self.node_of[node] = self._number(-1, self._root_step(node))
        level, parents = level[parents >= 0], parents[parents >= 0]
        if not len(level):
            return
        above = self.node_of[parents].astype("i8")
        # What hangs in an instance's __dict__ hangs at the instance.
        for place in np.flatnonzero(self._edge_label[parents] == self._dict).tolist():
            above[place] = self._parents[int(above[place])]
        if len(level) > 1:
            self._merge_fields(level, above)
        place, steps = pd.factorize(self._step[level])
        inverse, keys = pd.factorize(above * len(steps) + place)
        numbers = [
            self._folded(key // len(steps), int(steps[key % len(steps)])) for key in keys.tolist()
        ]
        self.node_of[level] = np.array(numbers, dtype="i4")[inverse]

    def _merge_fields(self, level: np.ndarray, above: np.ndarray) -> None:
        labels = self._edge_label[level]
        generic = self._generic[labels + 1]
        fields = np.flatnonzero(generic != labels)
        if len(fields) <= MOST_FIELDS:
            return
        rest = self._step[level[fields]] % self._kinds
        pairs = np.unique(np.stack([above[fields], labels[fields]]), axis=1)
        parents, counts = np.unique(pairs[0], return_counts=True)
        many = np.isin(above[fields], parents[counts > MOST_FIELDS])
        merged = level[fields[many]]
        self._step[merged] = (generic[fields[many]] + 1) * self._kinds + rest[many]

    def _folded(self, parent: int, step: int) -> int:
        """Return the path node for a step, or the one it repeats."""
        above = parent
        seen = [step]
        for period in (1, 2, 3):
            if above < 0:
                break
            if self._steps[above] == step and self._repeats(parent, seen, period):
                return above
            seen.append(self._steps[above])  # type: ignore[arg-type]
            above = self._parents[above]
        return self._number(parent, step)

    def _repeats(self, parent: int, seen: list[int], period: int) -> bool:
        """Say whether the last ``period`` steps occurred just before as well."""
        if period == 1:
            return True
        before = parent
        for _ in range(period - 1):
            before = self._parents[before]
        for step in seen[1:]:
            before = self._parents[before]
            if before < 0 or self._steps[before] != step:
                return False
        return True

    def _number(self, parent: int, step: object) -> int:
        number = self._numbers.get((parent, step))
        if number is None:
            number = self._numbers[parent, step] = len(self._parents)
            self._parents.append(parent)
            self._steps.append(step)
        return number


@dataclass(frozen=True)
class PathText:
    """How a path node is shown: the root's kind, its own step, its type, and the whole path."""

    kind: str
    step: str
    type: str
    path: str


def path_texts(tree: PathTree, nodes: np.ndarray) -> dict[int, PathText]:
    """Return the texts of the given path nodes."""
    dump = tree.graph.dump
    kinds = len(dump.type_names) * (len(dump.texts) + 1)
    shown: dict[int, PathText] = {}
    for node in _with_parents(nodes[nodes >= 0], tree.parent).tolist():
        one = int(tree.first[node])
        step = tree.step[node]
        if isinstance(step, tuple):
            kind, text, _ = step
            type_name = dump.type_names[int(dump.type[one])]
            shown[node] = PathText(kind, text, type_name, text)
        else:
            text = dump.texts[int(step) // kinds - 1]
            shown[node] = step_further(tree.graph, shown[int(tree.parent[node])], text, one)
    return shown


def step_further(graph: ObjectGraph, above: PathText, step: str, one: int) -> PathText:
    """Return the path that goes on from ``above`` over an edge labelled ``step`` to an object."""
    dump = graph.dump
    kind = dump.type_names[int(dump.type[one])]
    name = int(dump.name[one])
    named = f"{kind} {dump.texts[name]}".rstrip() if name >= 0 else kind
    path = above.path
    if step.startswith((".", "[")):
        path += step
    elif step in _CONTAINERS:
        path += f" → {above.type.rpartition('.')[2]} {step} → {named}"
    elif not step:
        path += f" → {named}"
    elif step not in _SILENT:
        path += f" → {step}"
    return PathText(above.kind, step, kind, path)
