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

        Of a container that is emptied, its own bytes beyond ``empty_bytes`` too (where given). What
        nothing but garbage holds besides goes with a group that ``collects``.
        """
        collected = self._retained_once_collected(groups)
        freed = [
            int((collected if group.get("collects") else self.retained)[node]) if node >= 0 else 0
            for group, node in zip(groups, self.nodes.tolist(), strict=True)
        ]
        find = _Finder(self.graph.dump.address)
        for number, group in enumerate(groups):
            if group.get("container") is not None and group.get("empty_bytes") is not None:
                for place in find([group["container"]]).tolist():
                    own = int(self.graph.dump.size_bytes[place]) - group["empty_bytes"]
                    freed[number] += max(0, own)
        return freed

    def _retained_once_collected(self, groups: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Return what each node retains when no uncollected cycle holds anything any more."""
        graph = self.graph
        if not any(group.get("collects") for group in groups):
            return self.retained
        cyclic = [root.kind == "cycle" for root in graph.roots] + [False]
        real = np.flatnonzero((graph.root >= 0) & ~np.array(cyclic)[graph.root])
        real = np.union1d(real, [root.node for root in graph.dump.roots]).astype("i8")
        source = np.repeat(np.arange(graph.count), np.diff(graph.offsets))
        alive = _reached(source, graph.targets, real, graph.count)
        keep = alive[graph.dump.source] | ~alive[graph.dump.target]
        if keep.all():
            return self.retained
        dump = graph.dump
        left = {name: getattr(dump, name)[keep] for name in ("source", "target", "label")}
        collected = ObjectGraph(replace(dump, **left))
        return retained_bytes(collected, immediate_dominators(collected))

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
    those go with it, those from anything of ``source_types`` as well, and roots as ``root_kind``
    and ``root_name`` say) or ``container`` and ``kept`` (all edges from the container except to
    those). leaklab.kernel_audit.groups says more.
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
    roots, claimed = _claimed_roots(dump, find, groups)
    extra_source = [count + number for number, _ in claimed]
    extra_target = [place for _, place in claimed]
    kinds = np.full(len(groups), len(dump.type_names), dtype=dump.type.dtype)
    nodes = np.full(len(groups), -1, dtype="i8")
    _move_edges(dump, find, groups, source, target, label)
    heads = [bool(len(find(group["targets"]))) for group in groups]
    for number, _ in claimed:
        heads[number] = True
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


def _move_edges(
    dump: HeapDump,
    find: _Finder,
    groups: Sequence[Mapping[str, Any]],
    source: np.ndarray,
    target: np.ndarray,
    label: np.ndarray,
) -> None:
    """Let each group hold its targets in place of what its line takes them away from.

    An object that two groups hold, each from elsewhere, goes only with both.
    """
    silent = dump.texts.index("__dict__")  # a step that needs no words: the name is the group
    any_target = find({address for group in groups for address in group["targets"]})
    to_target = np.zeros(len(dump.address), dtype=bool)
    to_target[any_target] = True
    edges = np.flatnonzero(to_target[target])
    from_, to = source[edges].copy(), target[edges]
    of_holders: dict[tuple[Any, ...], list[int]] = {}
    for number, group in enumerate(groups):
        if group["targets"]:
            holders = (tuple(group["sources"]), tuple(group.get("source_types", ())))
            of_holders.setdefault(holders, []).append(number)
    for (addresses, names), numbers in of_holders.items():
        owner = np.full(len(dump.address), -1, dtype="i8")
        for number in numbers:
            owner[find(groups[number]["targets"])] = number
        kinds = [place for place, name in enumerate(dump.type_names) if name in names]
        held = np.isin(from_, find(addresses)) | np.isin(dump.type[from_], kinds)
        moved = np.flatnonzero(held & (owner[to] >= 0))
        source[edges[moved]] = len(dump.address) + owner[to[moved]]
        label[edges[moved]] = silent


def _claimed_roots(
    dump: HeapDump, find: _Finder, groups: Sequence[Mapping[str, Any]]
) -> tuple[list[Root], list[tuple[int, int]]]:
    """Return the roots that no group takes, and (group, node) of those that one does."""
    takers: dict[tuple[str, Any], int] = {}
    for number, group in enumerate(groups):
        kind, name = group.get("root_kind"), group.get("root_name")
        if kind is None:
            continue
        for place in [name] if name is not None else find(group["targets"]).tolist():
            takers.setdefault((kind, place), number)
    left, claimed = [], []
    for root in dump.roots:
        wanted = ((root.kind, root.node), (root.kind, root.name), (root.kind, ""))
        number = next((takers[one] for one in wanted if one in takers), -1)
        if number < 0:
            left.append(root)
        else:
            claimed.append((number, root.node))
    return left, claimed


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
    source = np.repeat(np.arange(count), np.diff(graph.offsets))
    own = np.zeros(count + 1, dtype=bool)
    own[list(group_of)] = True
    held = held_besides(one)
    heads = np.flatnonzero((one.dominator == count) & ~held & (graph.root < 0) & ~own[:count])
    free = np.append(~held, False) | own
    within = free[source] & free[graph.targets] & ~own[graph.targets]
    shared: dict[tuple[int, ...], int] = {}
    for nodes, chosen in _by_holders(source[within], graph.targets[within], heads, own, one):
        groups = tuple(sorted(group_of[node] for node in nodes))
        if len(groups) > 1:
            shared[groups] = shared.get(groups, 0) + int(one.retained[chosen].sum())
    return sorted(shared.items(), key=lambda item: -item[1])


def held_besides(one: GroupedGraph) -> np.ndarray:
    """Say of each node whether it stays although all groups go."""
    graph, count = one.graph, one.graph.count
    roots = np.flatnonzero(graph.root >= 0)
    others = np.setdiff1d(np.union1d(roots, [root.node for root in graph.dump.roots]), one.nodes)
    source = np.repeat(np.arange(count), np.diff(graph.offsets))
    # A cache is emptied although something else holds it: nothing comes through its node.
    kept = ~np.isin(source, one.nodes)
    return _reached(source[kept], graph.targets[kept], others.astype("i8"), count)


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
