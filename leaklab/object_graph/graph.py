"""The object graph of one dump: what is reachable, from which root, by which shortest path."""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

# Below this many objects a level of the search is cheaper in plain Python than in numpy.
_SMALL_LEVEL = 48
# In bytes: what the allocator's blocks are multiples of, up to where they are its own, and what
# malloc keeps beside each of its.
_BLOCK = 16
_LARGEST_POOLED = 512
_MALLOC_BYTES = 8
# How the walker calls a reference the collector is not told of (see leaklab.probe.graph_fields).
_NATIVE_FIELD = "native field of "
# Types of what a call takes to go through a container or to call something of it; and how the
# walker names the variables of a call (see leaklab.probe.graph_names).
_STEPPING = re.compile(
    r"\w*iterator|(_collections|itertools)\..+|enumerate|zip|map|filter|reversed|generator"
    r"|async_generator|dict_(keys|values|items)|method|builtin_function_or_method"
)
_CALLS = ("frame", "generator", "coroutine", "async_generator")
_VARIABLE = "local "
_NUMBER = re.compile(r"\d+")
# So many tasks that do the same are a pile of them.
_PILE = 3
_DEFAULT_MODULES = frozenset(sys.stdlib_module_names)


@dataclass(frozen=True)
class Root:
    """Where a path starts. ``kind``: module, leaklab (a module of the probe), thread, task,
    event loop, context, signal, atexit, at-fork, garbage, table; made by the analysis: group (see
    object_graph.grouped); found by it: class (held by its instances), native (held by native
    code), cycle (unreachable)."""

    kind: str
    name: str
    node: int
    label: str


@dataclass(frozen=True)
class HeapDump:
    """One dump as arrays. Nodes: ``address`` (sorted), ``type`` (index into ``type_names``),
    ``size_bytes`` (shallow), ``reference_count`` (negative where unknown), ``name`` (index into
    ``texts`` or negative). Types: ``type_head_bytes``, size of the objects' own block where what
    they hold is in another one, else 0. Edges: ``source``, ``target`` (node indices), ``label``
    (text index). ``bounds``: node, attribute, bound and number held of containers that are made to
    hold so many at most."""

    address: np.ndarray
    type: np.ndarray
    size_bytes: np.ndarray
    reference_count: np.ndarray
    name: np.ndarray
    source: np.ndarray
    target: np.ndarray
    label: np.ndarray
    texts: list[str]
    type_names: list[str]
    type_node: np.ndarray
    roots: list[Root]
    bounds: list[tuple[Any, ...]] = field(default_factory=list)
    type_head_bytes: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype="i8"))
    walk_seconds: float = 0.0
    meta: dict[str, Any] = field(default_factory=dict)

    def allocated_bytes(self) -> np.ndarray:
        """Return what CPython's allocator takes for each object, in bytes.

        It gives out multiples of 16 bytes, above 512 by way of malloc, which keeps 8 beside them;
        and a list's items are a block of their own. So it is a tenth more than ``size_bytes`` and
        above where objects are small.
        """
        head = self.type_head_bytes[self.type]
        rest = np.maximum(self.size_bytes - head, 0)
        rest[rest > _LARGEST_POOLED] += _MALLOC_BYTES
        allocated: np.ndarray = -(-head // _BLOCK) * _BLOCK + -(-rest // _BLOCK) * _BLOCK
        return allocated


class ObjectGraph:
    """A dump with its search tree.

    ``order``: reached nodes, parents first. ``parent``: node before it on the shortest path, -1
    for a root or an unreached node. ``edge_label``: text index of the edge from there. ``root``:
    number in ``roots`` that a root node stands for, else -1. ``offsets``/``targets``/``labels``:
    edges by source.
    """

    def __init__(self, dump: HeapDump) -> None:
        dump, self._doubtful = _without_doubtful(dump)
        self.dump = dump
        count = len(dump.address)
        self.count = count
        by_source = np.argsort(dump.source, kind="stable")
        self.targets = dump.target[by_source]
        self.labels = dump.label[by_source]
        per_source = np.bincount(dump.source, minlength=count)
        self.offsets = np.concatenate([[0], np.cumsum(per_source)])
        self.parent = np.full(count, -1, dtype="i4")
        self.edge_label = np.full(count, -1, dtype="i4")
        self.root = np.full(count, -1, dtype="i4")
        self.roots: list[Root] = []
        self._reached = np.zeros(count, dtype=bool)
        self._levels: list[np.ndarray] = []
        self._dict_label = dump.texts.index("__dict__")
        self._held_back = self._in_passing()
        piled = _piled_tasks(dump)
        # What piles up is where it piles up, not what leads there.
        self._reached[[root.node for root in piled]] = True
        later = {*piled, *filter(_is_shared, dump.roots)}
        self._search(sorted((root for root in dump.roots if root not in later), key=_rank))
        self._reached[[root.node for root in piled]] = False
        self._search(piled)
        self._search_passing()
        self._search([root for root in dump.roots if _is_shared(root)])
        self._search_unreached()
        self.order = np.concatenate(self._levels) if self._levels else np.empty(0, dtype="i4")

    @property
    def levels(self) -> list[np.ndarray]:
        """The reached nodes by distance from their root, search by search."""
        return self._levels

    def _search(self, roots: list[Root]) -> None:
        first = []
        for root in roots:
            if not self._reached[root.node]:
                self._reached[root.node] = True
                self.root[root.node] = len(self.roots)
                self.roots.append(root)
                first.append(root.node)
        frontier = np.array(first, dtype="i4")
        if not len(frontier):
            return
        self._levels.append(frontier)
        # A module's names are as near as a frame's variables: its dict does not count as a step.
        modules = np.array([r.node for r in roots if r.kind in _MODULES], dtype="i4")
        dicts = self._follow(modules, only=self._dict_label)
        if len(dicts):
            self._levels.append(dicts)
            frontier = self._merged(frontier, modules, dicts)
        self._spread(frontier)

    def _spread(self, frontier: np.ndarray) -> None:
        while len(frontier):
            frontier = self._follow(frontier)
            if len(frontier):
                self._levels.append(frontier)

    def _merged(self, frontier: np.ndarray, modules: np.ndarray, dicts: np.ndarray) -> np.ndarray:
        """Return the first level with every module replaced by its dict, in the roots' order."""
        own = dict(zip(self.parent[dicts].tolist(), dicts.tolist(), strict=True))
        first = [own.get(node, node) for node in frontier.tolist()]
        rest = [node for node in frontier.tolist() if node in own]
        return np.array(first + rest, dtype="i4")

    def _follow(self, frontier: np.ndarray, only: int | None = None) -> np.ndarray:
        """Reach the next level; ``only`` follows edges of that label alone."""
        if len(frontier) < _SMALL_LEVEL and only is None:
            return self._follow_few(frontier.tolist())
        starts = self.offsets[frontier]
        lengths = self.offsets[frontier + 1] - starts
        total = int(lengths.sum())
        if not total:
            return np.empty(0, dtype="i4")
        edges = np.repeat(starts - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
        edges += np.arange(total)
        origins = np.repeat(frontier, lengths)
        targets = self.targets[edges]
        new = ~self._reached[targets] & ~self._held_back[edges]
        if only is not None:
            new &= self.labels[edges] == only
        targets, edges, origins = targets[new], edges[new], origins[new]
        reached, place = np.unique(targets, return_index=True)
        place.sort()  # in the order of the roots, so that the first root keeps its objects
        reached = targets[place]
        self._reached[reached] = True
        self.parent[reached] = origins[place]
        self.edge_label[reached] = self.labels[edges[place]]
        found: np.ndarray = reached
        return found

    def _follow_few(self, frontier: list[int]) -> np.ndarray:
        found = []
        for node in frontier:
            start, end = int(self.offsets[node]), int(self.offsets[node + 1])
            for edge in range(start, end):
                target = int(self.targets[edge])
                if not self._reached[target] and not self._held_back[edge]:
                    self._reached[target] = True
                    self.parent[target] = node
                    self.edge_label[target] = self.labels[edge]
                    found.append(target)
        return np.array(found, dtype="i4")

    def _in_passing(self) -> np.ndarray:
        """Return which edges are there only because a call is under way, by source as ``targets``.

        What it works through is held by others, who keep it when the call has ended.
        """
        dump = self.dump
        calls = np.isin(dump.type, [n for n, t in enumerate(dump.type_names) if t in _CALLS])
        runs = np.zeros(self.count, dtype=bool)
        runs[[root.node for root in dump.roots if root.kind == "thread"]] = True
        stepping = [n for n, t in enumerate(dump.type_names) if _STEPPING.fullmatch(t)]
        variables = [n for n, text in enumerate(dump.texts) if text.startswith(_VARIABLE)]
        passing = np.zeros(len(self.targets), dtype=bool)
        sources = np.flatnonzero(calls | runs)
        lengths = self.offsets[sources + 1] - self.offsets[sources]
        starts = np.repeat(self.offsets[sources] - np.cumsum(lengths) + lengths, lengths)
        edges = starts + np.arange(lengths.sum())
        unnamed = np.repeat(runs[sources], lengths) & ~np.isin(self.labels[edges], variables)
        passing[edges] = unnamed | np.isin(dump.type[self.targets[edges]], stepping)
        return passing

    def _search_passing(self) -> None:
        """Reach what only calls that are under way lead to."""
        sources = np.repeat(np.arange(self.count), np.diff(self.offsets))[self._held_back]
        self._held_back = np.zeros(len(self.targets), dtype=bool)
        self._spread(np.unique(sources[self._reached[sources]]))

    def _search_unreached(self) -> None:
        """Give a root to what no root reaches: native code holds it, or a cycle holds itself."""
        self._search(self._class_roots())
        self._search_doubtful()
        known = self.dump.reference_count >= 0
        left = np.flatnonzero(~self._reached & known)
        if not len(left):
            return
        referrers = self._unreached_referrers()
        held = left[self.dump.reference_count[left] > referrers[left]]
        # An object without any known referrer first: what hangs below it has its path through it.
        held = held[np.argsort(referrers[held] > 0, kind="stable")]
        for group in (held[referrers[held] == 0], held[referrers[held] > 0]):
            self._search([Root("native", self._type(node), node, "") for node in group.tolist()])
        self._search(self._field_roots())
        rest = left[~self._reached[left]]
        for node in rest.tolist():
            if not self._reached[node]:
                self._search([Root("cycle", self._type(node), node, "")])

    def _unreached_referrers(self) -> np.ndarray:
        """Return how often each object is held by one that no root has reached."""
        within = ~self._reached[self.dump.source]
        return np.bincount(self.dump.target[within], minlength=self.count)

    def _search_doubtful(self) -> None:
        """Believe a word that may be a reference where its object has one that nobody tells of."""
        source, target, label = self._doubtful
        missing = self.dump.reference_count[target] > self._unreached_referrers()[target]
        taken = np.flatnonzero(missing & ~self._reached[target])
        if not len(taken):
            return
        taken = taken[np.argsort(source[taken], kind="stable")]
        source, target, label = source[taken], target[taken], label[taken]
        self.targets = np.insert(self.targets, self.offsets[source + 1], target)
        self.labels = np.insert(self.labels, self.offsets[source + 1], label)
        self._held_back = np.zeros(len(self.targets), dtype=bool)
        added = np.bincount(source, minlength=self.count)
        self.offsets = self.offsets + np.concatenate([[0], np.cumsum(added)])
        self.dump = replace(
            self.dump,
            source=np.append(self.dump.source, source),
            target=np.append(self.dump.target, target),
            label=np.append(self.dump.label, label),
        )
        self._spread(np.unique(source[self._reached[source]]))

    def _field_roots(self) -> list[Root]:
        """What hangs on a field the collector does not know: no cycle through it is ever freed."""
        texts = self.dump.texts
        edges = np.flatnonzero(_native_fields(self.dump) & ~self._reached[self.dump.target])
        return [
            Root("native", f"{self._type(node)} in a {texts[label]}", node, "")
            for node, label in zip(
                self.dump.target[edges].tolist(), self.dump.label[edges].tolist(), strict=True
            )
        ]

    def _class_roots(self) -> list[Root]:
        """Classes that only their instances hold: edges to the class are not in the dump."""
        reached_types = np.unique(self.dump.type[self._reached])
        nodes = self.dump.type_node[reached_types]
        missing = nodes[(nodes >= 0) & ~self._reached[nodes]]
        return [Root("class", self._text(node), node, "") for node in missing.tolist()]

    def _type(self, node: int) -> str:
        return self.dump.type_names[int(self.dump.type[node])]

    def _text(self, node: int) -> str:
        name = int(self.dump.name[node])
        return self.dump.texts[name] if name >= 0 else ""


_MODULES = ("module", "leaklab")
_Edges = tuple[np.ndarray, np.ndarray, np.ndarray]


def _native_fields(dump: HeapDump) -> np.ndarray:
    texts = dump.texts
    labels = [number for number, text in enumerate(texts) if text.startswith(_NATIVE_FIELD)]
    fields: np.ndarray = np.isin(dump.label, labels)
    return fields


def _without_doubtful(dump: HeapDump) -> tuple[HeapDump, _Edges]:
    """Return the dump without the words in C structures that may be no references, and those.

    What the collector tracks tells it what it holds; a further word may be an address it borrows.
    """
    doubtful = _native_fields(dump)
    doubtful &= dump.reference_count[dump.source] >= 0
    edges = dump.source, dump.target, dump.label
    source, target, label = (each[doubtful] for each in edges)
    if len(source):
        kept = [each[~doubtful] for each in edges]
        dump = replace(dump, source=kept[0], target=kept[1], label=kept[2])
    return dump, (source, target, label)


def name_without_number(root: Root) -> str:
    """Return the name of a thread or a task without what only numbers it."""
    # That of a coroutine is one from the source.
    of_coroutine = root.kind == "task" and root.name.endswith("()")
    return root.name if of_coroutine else _NUMBER.sub("#", root.name)


def _piled_tasks(dump: HeapDump) -> list[Root]:
    """Return the tasks of which there are many that do the same.

    What all of them lead to, such as the set that keeps them, has an owner elsewhere.
    """
    tasks = [root for root in dump.roots if root.kind == "task"]
    alike = Counter(map(name_without_number, tasks))
    return [root for root in tasks if alike[name_without_number(root)] >= _PILE]


def _is_shared(root: Root) -> bool:
    """Whether it is the context of a task, a callback or a thread, who hold it where they are told
    themselves."""
    return root.kind == "context" and not root.name


def _rank(root: Root) -> int:
    """Order the roots: at equal distance the target's own modules explain best."""
    if root.kind == "module":
        if root.name in ("__main__", "__mp_main__"):  # two names of one module, at times
            return 1 + (root.name == "__mp_main__")
        return 4 if root.name.partition(".")[0] in _DEFAULT_MODULES else 0
    if root.kind in ("thread", "task"):
        return 2
    if root.kind == "group":
        return 0  # what a line of the user's would free
    if root.kind == "leaklab":
        return -1  # what the probe holds is its own, though atexit holds the probe as well
    if root.kind == "event loop" and not root.label:
        return 6
    # A module's exit function has the module's own tables as default values.
    return 5 if root.kind in ("atexit", "at-fork") else 3
