"""Path nodes: the objects that hang at the same place, counted together.

``app.cache.CACHE → dict value → Page`` is one path node however many pages there are. Objects
are merged when the objects before them on their shortest path are merged, the edge means the
same, and they have the same type; a step that repeats itself (a linked list) stays one node.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count, pairwise, repeat

import numpy as np
import pandas as pd

from leaklab.object_graph.dominators import depths
from leaklab.object_graph.graph import ObjectGraph, Root, name_without_number

# More children than this under different textual keys are entries of one table, not fields.
MOST_FIELDS = 40
# Steps that only say how the interpreter does it.
_SILENT = ("__dict__", "cell")
_CONTAINERS = ("value", "key", "item")


# The root's kind, its text, and the type of the object it holds.
RootStep = tuple[str, str, int]
# What a row of the table is worth keeping for: it may be the beginning of something that grows.
KEPT_COUNT = 3
KEPT_BYTES = 1024
# A pattern of at most this many steps that repeats itself is folded.
_LONGEST_PERIOD = 3
# In arrays of parents and steps: none, and the steps of roots downwards from there.
_NOTHING = -1
_FIRST_ROOT = -2


@dataclass(frozen=True)
class PathTree:
    """Path nodes of one dump, parents first. ``node_of``: path node of each object, -1 without.

    Arrays by path node: ``parent`` (-1 at a root), ``count``, ``shallow_bytes``, ``first`` (one
    of its objects), ``step`` (what tells it apart below its parent; a negative one is a root, in
    the order of ``root_steps``).
    """

    graph: ObjectGraph
    parent: np.ndarray
    count: np.ndarray
    shallow_bytes: np.ndarray
    first: np.ndarray
    step: np.ndarray
    root_steps: list[RootStep]
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


def path_table(
    tree: PathTree, retained: np.ndarray, limit: int, *, with_roots: bool = False
) -> pd.DataFrame:
    """Return the path nodes worth telling, parents first, at most ``limit`` and their parents.

    ``with_roots``: all roots as well, however small: whether one was there is told by it.

    Columns: node, parent (-1 at a root), kind (of the root), step, type, path (text), fingerprint
    (stable over dumps, processes and runs), count, shallow_bytes, retained_bytes.
    """
    worth = (tree.count >= KEPT_COUNT) | (retained >= KEPT_BYTES)
    kept = np.flatnonzero(worth)
    kept = kept[np.argsort(-retained[kept], kind="stable")][:limit]
    if with_roots:
        kept = np.union1d(kept, np.flatnonzero(tree.parent < 0))
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
    if root.kind in ("module", "leaklab", "group", "table"):
        return root.name
    if root.kind == "thread":
        return f"thread {name_without_number(root)}: {root.label}()"
    if root.kind == "task":
        return f"task {name_without_number(root)}"
    if root.kind == "context":
        return root.name or "context"
    if root.kind == "native":
        return f"held by native code: {root.name}"
    if root.kind == "cycle":
        return f"unreachable cycle: {root.name}"
    return " ".join(filter(None, (root.kind, root.name)))


def _among_many(groups: np.ndarray, names: np.ndarray) -> np.ndarray:
    """Return which names (from 0 on) are among more than MOST_FIELDS different ones of a group."""
    count = int(names.max(initial=0)) + 1
    group = pd.factorize(groups)[0].astype("i8")
    different = np.bincount(np.unique(group * count + names) // count)
    many: np.ndarray = different[group] > MOST_FIELDS
    return many


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
        self._containers = [
            number for number, text in enumerate(self._texts) if text in _CONTAINERS
        ]
        self.node_of = np.full(graph.count, -1, dtype="i4")
        # Path nodes by parent and step; the element after the last is what no path node has above.
        self._parents = np.full(graph.count + 1, _NOTHING, dtype="i8")
        self._steps = np.full(graph.count + 1, _NOTHING, dtype="i8")
        self._count = 0
        self._root_steps: dict[RootStep, int] = {}
        self._numbers: dict[int, int] = {}
        self._step_numbers: dict[int, int] = {}
        self._fresh = count()

    def build(self, levels: list[np.ndarray]) -> PathTree:
        """Place all levels, the roots first, and count."""
        for level in levels:
            self._add(level)
        count = self._count
        placed = np.flatnonzero(self.node_of >= 0)
        nodes = self.node_of[placed]
        sizes = self._graph.dump.size_bytes[placed].astype("f8")
        first = np.full(count, -1, dtype="i8")
        first[nodes[::-1]] = placed[::-1]
        return PathTree(
            graph=self._graph,
            parent=self._parents[:count].astype("i4"),
            count=np.bincount(nodes, minlength=count),
            shallow_bytes=np.bincount(nodes, weights=sizes, minlength=count),
            first=first,
            step=self._steps[:count].copy(),
            root_steps=list(self._root_steps),
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
            self.node_of[node] = self._root(self._root_step(node))
        level, parents = level[parents >= 0], parents[parents >= 0]
        if not len(level):
            return
        above = self.node_of[parents].astype("i8")
        # What hangs in an instance's __dict__ hangs at the instance.
        above = np.where(self._edge_label[parents] == self._dict, self._parents[above], above)
        if len(level) > 1:
            self._merge_fields(level, above)
            self._merge_names(level, above)
        place, steps = pd.factorize(self._step[level])
        inverse, keys = pd.factorize(above * len(steps) + place)
        self.node_of[level] = self._folded(keys // len(steps), steps[keys % len(steps)])[inverse]

    def _merge_fields(self, level: np.ndarray, above: np.ndarray) -> None:
        """Merge what has a label of its own each, among very many below one path node."""
        labels = self._edge_label[level]
        generic = self._generic[labels + 1]
        fields = np.flatnonzero(generic != labels)
        if len(fields) > MOST_FIELDS:
            merged = fields[_among_many(above[fields], labels[fields])]
            self._step[level[merged]] += (generic - labels)[merged] * self._kinds

    def _merge_names(self, level: np.ndarray, above: np.ndarray) -> None:
        """The same for what has a name of its own each, as classes that are made in a call."""
        names = self._step[level] % self._names
        held = np.flatnonzero(names)
        if len(held) > MOST_FIELDS:
            held = held[np.isin(self._step[level[held]] // self._kinds - 1, self._containers)]
        if len(held) > MOST_FIELDS:
            names = names[held]
            unnamed = self._step[level[held]] - names
            # Under one path node only what differs by nothing but its name.
            place, steps = pd.factorize(unnamed)
            many = _among_many(above[held] * len(steps) + place, names)
            self._step[level[held[many]]] = unnamed[many]

    def _root(self, step: RootStep) -> int:
        number = self._root_steps.setdefault(step, self._count)
        if number == self._count:
            self._steps[number] = _FIRST_ROOT - (len(self._root_steps) - 1)
            self._count += 1
        return number

    def _folded(self, parent: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Return the path node for each pair of parent and step, or the one that it repeats.

        It repeats when the last one, two or three steps occurred just before as well.
        """
        up = [parent]
        for _ in range(2 * _LONGEST_PERIOD - 2):
            up.append(self._parents[up[-1]])
        steps = [self._steps[node] for node in up]
        number = np.full(len(parent), _NOTHING, dtype="i8")
        for period in range(_LONGEST_PERIOD, 0, -1):
            repeats = steps[period - 1] == step
            for back in range(period - 1):
                repeats &= steps[period + back] == steps[back]
            number[repeats] = up[period - 1][repeats]
        new = number == _NOTHING
        number[new] = self._number(parent[new], step[new])
        return number

    def _number(self, parent: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Return the path node for each pair of parent and step, new ones where there is none.

        Dictionaries of plain integers, asked by ``map``: nothing here is done one by one.
        """
        numbered = map(self._step_numbers.setdefault, step.tolist(), self._fresh)
        keys = ((parent << 32) | np.fromiter(numbered, "i8", len(step))).tolist()
        numbers = map(self._numbers.get, keys, repeat(_NOTHING))
        found = np.fromiter(numbers, "i8", len(keys))
        new = np.flatnonzero(found == _NOTHING)
        places = np.arange(self._count, self._count + len(new))
        found[new] = places
        self._parents[places] = parent[new]
        self._steps[places] = step[new]
        self._numbers.update(zip(map(keys.__getitem__, new.tolist()), places.tolist(), strict=True))
        self._count += len(new)
        return found


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
        step = int(tree.step[node])
        if step < 0:
            kind, text, _ = tree.root_steps[_FIRST_ROOT - step]
            type_name = dump.type_names[int(dump.type[one])]
            shown[node] = PathText(kind, text, type_name, text)
        else:
            text = dump.texts[step // kinds - 1]
            named = step % (len(dump.texts) + 1) > 0  # not so where those of many names are merged
            above = shown[int(tree.parent[node])]
            shown[node] = step_further(tree.graph, above, text, one, named=named)
    return shown


def step_further(
    graph: ObjectGraph, above: PathText, step: str, one: int, *, named: bool = True
) -> PathText:
    """Return the path that goes on from ``above`` over an edge labelled ``step`` to an object.

    ``named``: that is called by its own name where it has one.
    """
    dump = graph.dump
    kind = dump.type_names[int(dump.type[one])]
    name = int(dump.name[one]) if named else -1
    called = f"{kind} {dump.texts[name]}".rstrip() if name >= 0 else kind
    path = above.path
    if step.startswith((".", "[")):
        path += step
    elif step in _CONTAINERS:
        path += f" → {above.type.rpartition('.')[2]} {step} → {called}"
    elif not step:
        path += f" → {called}"
    elif step not in _SILENT:
        path += f" → {step}"
    return PathText(above.kind, step, kind, path)
