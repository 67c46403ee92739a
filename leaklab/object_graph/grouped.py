"""What goes free when a group goes: dominators of a graph in which each group is one node.

An object under several aliases, a traceback with its exception, all open figures: each holder alone
frees nothing. So the edges that a line of code removes are moved to a node of the group, directly
below the roots; what that node dominates is what the line frees.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order

from leaklab.object_graph.dominators import immediate_dominators, retained_bytes
from leaklab.object_graph.graph import HeapDump, ObjectGraph, Root

# So many groups that share something are told apart.
_MOST_HOLDERS = 100


@dataclass(frozen=True)
class GroupedGraph:
    """A graph with its groups. ``nodes``: of each group, -1 where it holds nothing in the dump.
    ``dominator`` and ``retained`` as in object_graph.dominators."""

    graph: ObjectGraph
    nodes: np.ndarray
    dominator: np.ndarray
    retained: np.ndarray

    def freed_bytes(self, groups: Sequence[Mapping[str, Any]]) -> list[int]:
        """Return for each group the bytes that go free with it alone.

        Of a container that is emptied, its own bytes beyond ``empty_bytes`` too (where given).
        """
        freed = [int(self.retained[node]) if node >= 0 else 0 for node in self.nodes.tolist()]
        find = _Finder(self.graph.dump.address)
        for number, group in enumerate(groups):
            if group.get("container") is not None and group.get("empty_bytes") is not None:
                for place in find([group["container"]]).tolist():
                    own = int(self.graph.dump.size_bytes[place]) - group["empty_bytes"]
                    freed[number] += max(0, own)
        return freed

    def enclosing(self) -> list[int]:
        """Return for each group the number of the group that it goes free with too, -1 without."""
        number_of = {node: number for number, node in enumerate(self.nodes.tolist()) if node >= 0}
        found = []
        for node in self.nodes.tolist():
            above = int(self.dominator[node]) if node >= 0 else -1
            while above not in number_of and 0 <= above < self.graph.count:
                above = int(self.dominator[above])
            found.append(number_of.get(above, -1))
        return found


def grouped(
    dump: HeapDump, groups: Sequence[Mapping[str, Any]], ignored: Iterable[int]
) -> GroupedGraph:
    """Return the graph of a dump with a node for each group.

    A group has ``key``, and either ``targets`` and ``sources`` (addresses: the edges from these to
    those go with it) or ``container`` and ``kept`` (all edges from the container except to those).
    ``ignored``: addresses of objects whose references do not count.
    """
    dump, nodes = _with_groups(dump, groups, list(ignored))
    graph = ObjectGraph(dump)
    dominator = immediate_dominators(graph)
    return GroupedGraph(graph, nodes, dominator, retained_bytes(graph, dominator))


def _with_groups(
    dump: HeapDump, groups: Sequence[Mapping[str, Any]], ignored: list[int]
) -> tuple[HeapDump, np.ndarray]:
    count = len(dump.address)
    find = _Finder(dump.address)
    keep = ~np.isin(dump.source, find(ignored))
    source, target, label = (each[keep].copy() for each in (dump.source, dump.target, dump.label))
    extra_source, extra_target, roots = [], [], list(dump.roots)
    kinds = np.full(len(groups), len(dump.type_names), dtype=dump.type.dtype)
    nodes = np.full(len(groups), -1, dtype="i8")
    owner, heads = _moved_targets(find, groups, count)
    sources = find({address for group in groups for address in group["sources"]})
    moved = np.flatnonzero((owner[target] >= 0) & np.isin(source, sources))
    source[moved] = count + owner[target[moved]]
    label[moved] = dump.texts.index("__dict__")  # a step that needs no words: the name is the group
    for number, group in enumerate(groups):
        node = count + number
        if group.get("container") is None:
            if heads[number]:
                nodes[number] = node
                roots.append(Root("group", group["key"], node, ""))
            continue
        container = find([group["container"]])
        if len(container):
            nodes[number] = node
            kinds[number] = dump.type[container[0]]
            edges = (source == container[0]) & ~np.isin(target, find(group["kept"]))
            source[edges] = node
            extra_source.append(int(container[0]))
            extra_target.append(node)
    silent = np.full(len(extra_source), dump.texts.index("__dict__"), dtype=label.dtype)
    unknown = np.full(len(groups), -1, dtype="i8")
    first = int(dump.address[-1]) + 16
    new = replace(
        dump,
        address=np.append(dump.address, first + 16 * np.arange(len(groups), dtype="u8")).astype(
            "u8"
        ),
        type=np.append(dump.type, kinds),
        size_bytes=np.append(dump.size_bytes, 0 * unknown),
        reference_count=np.append(dump.reference_count, unknown),
        name=np.append(dump.name, unknown.astype(dump.name.dtype)),
        source=np.append(source, np.array(extra_source, dtype=source.dtype)),
        target=np.append(target, np.array(extra_target, dtype=target.dtype)),
        label=np.append(label, silent),
        type_names=[*dump.type_names, "group"],
        type_node=np.append(dump.type_node, -1),
        roots=roots,
    )
    return new, nodes


def _moved_targets(
    find: _Finder, groups: Sequence[Mapping[str, Any]], count: int
) -> tuple[np.ndarray, list[bool]]:
    """Return for each node the group that takes its edges, -1 without; and which have any."""
    owner = np.full(count, -1, dtype="i8")
    heads = []
    for number, group in enumerate(groups):
        targets = find(group["targets"])
        owner[targets] = number
        heads.append(len(targets) > 0)
    return owner, heads


class _Finder:
    """Finds the nodes of addresses; what is not in the dump is left out."""

    def __init__(self, address: np.ndarray) -> None:
        self._address = address

    def __call__(self, addresses: Iterable[int]) -> np.ndarray:
        wanted = np.array(list(addresses), dtype="u8")
        places = np.searchsorted(self._address, wanted)
        places[places == len(self._address)] = 0
        found: np.ndarray = places[self._address[places] == wanted]
        return found


def shared_bytes(one: GroupedGraph) -> list[tuple[tuple[int, ...], int]]:
    """Return what goes free only when several groups go: (numbers of the groups, bytes).

    These bytes come on top of what each of the groups frees alone; the largest first.
    """
    graph, count = one.graph, one.graph.count
    group_of = {int(node): number for number, node in enumerate(one.nodes.tolist()) if node >= 0}
    roots = np.union1d(
        np.flatnonzero(graph.root >= 0), [root.node for root in graph.dump.roots]
    ).astype("i8")
    named = np.array([node for node in roots.tolist() if node in group_of], dtype="i8")
    others = np.setdiff1d(roots, named)
    source = np.repeat(np.arange(count), np.diff(graph.offsets))
    # A cache is emptied although something else holds it: nothing comes through its node.
    own = np.zeros(count + 1, dtype=bool)
    own[list(group_of)] = True
    held = _reached(source[~own[source]], graph.targets[~own[source]], others, count)
    heads = np.flatnonzero((one.dominator == count) & ~held & (graph.root < 0) & ~own[:count])
    free = np.append(~held, False) | own
    within = free[source] & free[graph.targets] & ~own[graph.targets]
    shared: dict[tuple[int, ...], int] = {}
    for nodes, chosen in _by_holders(source[within], graph.targets[within], heads, own, one):
        groups = tuple(sorted(group_of[node] for node in nodes))
        if len(groups) > 1:
            shared[groups] = shared.get(groups, 0) + int(one.retained[chosen].sum())
    return sorted(shared.items(), key=lambda item: -item[1])


def _by_holders(
    source: np.ndarray, target: np.ndarray, heads: np.ndarray, own: np.ndarray, one: GroupedGraph
) -> Iterator[tuple[list[int], np.ndarray]]:
    """Sort nodes by the groups that lead to them: (nodes of the groups, these of ``heads``).

    What many groups lead to is looked at for the largest of them; what the others lead to as well
    is left out.
    """
    count = one.graph.count
    leading = _reached(target, source, heads, count)
    inside = leading[source] & leading[target]
    members = np.flatnonzero(leading & own[:count])
    members = members[np.argsort(-one.retained[members], kind="stable")]
    number = np.cumsum(leading) - 1
    source, target, size = number[source[inside]], number[target[inside]], int(leading.sum())
    told_apart = members[:_MOST_HOLDERS]
    reached = [
        _reached(source, target, number[chosen], size)[number[heads]]
        for chosen in (*told_apart.reshape(-1, 1), members[_MOST_HOLDERS:])
    ]
    known = ~reached.pop()
    if not reached or not known.any():
        return
    bits = np.packbits(np.stack(reached, axis=1)[known], axis=1)
    sets, place = np.unique(bits, axis=0, return_inverse=True)
    order = np.argsort(place.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(place.ravel()))
    for packed, chosen in zip(sets, np.split(heads[known][order], ends[:-1]), strict=True):
        yield members[np.flatnonzero(np.unpackbits(packed)[: len(reached)])].tolist(), chosen


def _matrix(source: np.ndarray, target: np.ndarray, size: int) -> Any:
    return csr_matrix(
        (np.ones(len(source), dtype="i1"), (source, target)), shape=(size, size), dtype="i1"
    )


def _reached(source: np.ndarray, target: np.ndarray, roots: np.ndarray, count: int) -> np.ndarray:
    """Say of each node whether one of ``roots`` leads to it."""
    matrix = _matrix(
        np.append(source, np.full(len(roots), count)), np.append(target, roots), count + 1
    )
    reached = np.zeros(count + 1, dtype=bool)
    reached[breadth_first_order(matrix, count, return_predecessors=False)] = True
    return reached[:count]
