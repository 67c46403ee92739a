"""Retained sizes: what would be freed if an object were gone.

An object dominates another when every path from the roots leads through it. Most objects have
one referrer, which then is their immediate dominator; whole trees of such objects are taken off
the graph, leaf by leaf, before the general algorithm sees what remains.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import rustworkx

from leaklab.object_graph.graph import ObjectGraph

# Rounds of taking off leaves; each goes one object deeper from below.
_ROUNDS = 64
_TOO_FEW_SHARE = 0.001


def immediate_dominators(graph: ObjectGraph) -> np.ndarray:
    """Return each node's immediate dominator; ``graph.count`` (the roots' root) for roots and
    for objects held from several sides, -1 for unreached nodes."""
    count = graph.count
    reached = (graph.parent >= 0) | (graph.root >= 0)
    source, target = _edges(graph, reached)
    dominator = np.full(count + 1, -1, dtype="i4")
    referrer_count = np.bincount(target, minlength=count + 1)
    by_target = np.argsort(target, kind="stable")
    referrers = source[by_target]
    starts = np.concatenate([[0], np.cumsum(referrer_count)])

    alive = np.append(reached, True)
    outgoing = np.bincount(source, minlength=count + 1)
    leaves = np.flatnonzero(alive & (outgoing == 0))
    floor = max(256, int(reached.sum() * _TOO_FEW_SHARE))
    rounds: list[np.ndarray] = []
    while len(rounds) < _ROUNDS and len(leaves) >= floor:
        alive[leaves] = False
        rounds.append(leaves)
        holders = referrers[_ranges(starts[leaves], referrer_count[leaves])]
        outgoing -= np.bincount(holders, minlength=count + 1)
        candidates = np.zeros(count + 1, dtype=bool)
        candidates[holders] = True
        candidates[count] = False
        leaves = np.flatnonzero(candidates & alive & (outgoing == 0))
    _general(dominator, alive, source, target)
    tree = _Tree(dominator)
    for leaves in reversed(rounds):
        tree.add(
            leaves, _common_dominators(tree, referrers, starts[leaves], referrer_count[leaves])
        )
    return dominator[:count]


def retained_bytes(graph: ObjectGraph, dominator: np.ndarray) -> np.ndarray:
    """Return for each node its own size plus that of everything it dominates, in bytes."""
    count = graph.count
    total = np.append(graph.dump.size_bytes, 0).astype("i8")
    depth = depths(np.append(dominator, -1), count)
    nodes = np.flatnonzero(depth[:count] > 0)
    nodes = nodes[np.argsort(depth[nodes], kind="stable")]
    bounds = np.searchsorted(depth[nodes], np.arange(1, int(depth.max(initial=0)) + 2))
    for level in range(len(bounds) - 2, -1, -1):
        part = nodes[bounds[level] : bounds[level + 1]]
        if len(part) < 16:
            for node in part.tolist():
                total[dominator[node]] += total[node]
        else:
            np.add.at(total, dominator[part], total[part])
    return total[:count]


def _edges(graph: ObjectGraph, reached: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct edges between reached nodes, and those from the roots' root."""
    count = graph.count
    source = np.repeat(np.arange(count, dtype="i8"), np.diff(graph.offsets))
    keep = reached[source]
    key = source[keep] * (count + 1) + graph.targets[keep]
    key.sort(kind="stable")  # nearly in order, which np.unique would not make use of
    key = key[np.append(True, key[1:] != key[:-1])] if len(key) else key
    roots = np.flatnonzero(graph.root >= 0)
    given = np.array([root.node for root in graph.dump.roots], dtype="i8")
    roots = np.union1d(roots, given)
    source = np.concatenate([np.full(len(roots), count, dtype="i8"), key // (count + 1)])
    target = np.concatenate([roots, key % (count + 1)])
    return source.astype("i4"), target.astype("i4")


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the concatenation of ``range(start, start + length)`` for all pairs."""
    total = int(lengths.sum())
    offsets = np.repeat(starts - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
    return offsets + np.arange(total)


def _general(
    dominator: np.ndarray, alive: np.ndarray, source: np.ndarray, target: np.ndarray
) -> None:
    """Fill in the dominators of the nodes that are left by the general algorithm."""
    count = len(alive) - 1
    keep = alive[source] & alive[target]
    nodes = np.flatnonzero(alive)
    compact = np.full(count + 1, -1, dtype="i4")
    compact[nodes] = np.arange(len(nodes), dtype="i4")
    graph = rustworkx.PyDiGraph(node_count_hint=len(nodes), edge_count_hint=int(keep.sum()))
    graph.add_nodes_from([None] * len(nodes))
    pairs = zip(compact[source[keep]].tolist(), compact[target[keep]].tolist(), strict=True)
    graph.add_edges_from_no_data(list(pairs))
    found = rustworkx.immediate_dominators(graph, int(compact[count]))
    for node, above in found.items():
        if node != above:
            dominator[nodes[node]] = nodes[above]


def depths(dominator: np.ndarray, count: int) -> np.ndarray:
    """Return the distance of each placed node from the roots' root, by pointer jumping."""
    above = dominator.astype("i8").copy()
    above[count] = count
    unplaced = above < 0
    above[unplaced] = np.flatnonzero(unplaced)
    depth = np.where(above == np.arange(count + 1), 0, 1)
    while True:
        step = depth[above]
        if not step.any():
            break
        depth = depth + step
        above = above[above]
    depth[unplaced] = 0
    return depth


class _Tree:
    """A tree of dominators that grows at its leaves and finds nearest common dominators.

    Beside its parent each node knows one dominator further up, so that even in a long linked list
    the way up is short (E. W. Myers, An applicative random-access stack, Information Processing
    Letters 17, 1983). Changes ``dominator`` in place; its last element is the root.
    """

    def __init__(self, dominator: np.ndarray) -> None:
        self.root = len(dominator) - 1
        self._parent = dominator
        self._depth = depths(dominator, self.root)
        self._further = np.full(len(dominator), self.root, dtype="i4")
        placed = np.flatnonzero(self._depth > 0)
        placed = placed[np.argsort(self._depth[placed], kind="stable")]
        bounds = np.searchsorted(self._depth[placed], np.arange(1, self._depth.max() + 2))
        for start, end in pairwise(bounds.tolist()):
            self.add(placed[start:end], dominator[placed[start:end]])

    def add(self, nodes: np.ndarray, parents: np.ndarray) -> None:
        """Put ``nodes`` below ``parents``."""
        depth, further = self._depth, self._further
        self._parent[nodes] = parents
        depth[nodes] = depth[parents] + 1
        over = further[parents]
        same_length = depth[parents] - depth[over] == depth[over] - depth[further[over]]
        further[nodes] = np.where(same_length, further[over], parents)

    def nearest_common(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Return the nearest common dominator of each pair."""
        depth, parent, further = self._depth, self._parent, self._further
        one, other = one.astype("i8"), other.astype("i8")
        active = np.flatnonzero(one != other)
        while len(active):
            left, right = one[active], other[active]
            swapped = depth[left] < depth[right]
            left, right = np.where(swapped, right, left), np.where(swapped, left, right)
            deeper = depth[left] > depth[right]
            far_left, far_right = further[left], further[right]
            far = np.where(deeper, depth[far_left] >= depth[right], far_left != far_right)
            one[active] = np.where(far, far_left, parent[left])
            other[active] = np.where(deeper, right, np.where(far, far_right, parent[right]))
            active = active[one[active] != other[active]]
        return one

    def common_of_all(self, nodes: np.ndarray) -> int:
        """Return the nearest common dominator of all ``nodes``."""
        while len(nodes) > 1:
            half = len(nodes) // 2
            joined = self.nearest_common(nodes[:half], nodes[half : 2 * half])
            nodes = np.unique(np.append(joined, nodes[2 * half :]))
        return int(nodes[0])


def _common_dominators(
    tree: _Tree, referrers: np.ndarray, starts: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """Return the nearest common dominator of each node's referrers."""
    common: np.ndarray = referrers[starts].copy()
    for turn in range(1, int(lengths.max())):
        more = np.flatnonzero(lengths > turn)
        if len(more) < 8:
            break
        common[more] = tree.nearest_common(common[more], referrers[starts[more] + turn])
    else:
        return common
    for place in more.tolist():  # a few objects with very many referrers
        rest = referrers[starts[place] + turn : starts[place] + lengths[place]]
        common[place] = tree.common_of_all(np.unique(np.append(rest, common[place])))
    return common
