"""Leak groups: what grows below one accumulation point.

Where objects pile up, their number grows while the number of what holds them does not: that holder
is the accumulation point, and everything that grows below it is one leak group.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

# Growth below this, over the run, matters to nobody.
MATERIAL_BYTES = 1024
_WEAK_CONTAINERS = ("WeakSet", "WeakKeyDictionary", "WeakValueDictionary")


@dataclass
class Group:
    """Path nodes that grow below one accumulation point; ``tops``: those below no other member."""

    holder: int
    members: list[int] = field(default_factory=list)
    tops: list[int] = field(default_factory=list)


def leak_groups(table: pd.DataFrame) -> Iterable[Group]:
    """Collect what grows below each accumulation point.

    table: as :func:`leaklab.findings.retention.growth_by_path` returns it.
    """
    parent = table["parent"].to_numpy()
    own = (table["kind"] == "leaklab").to_numpy()
    counts = table["growth_count"].to_numpy()
    more = (counts > 0) & table["steady_count"].to_numpy(dtype=bool) & ~own
    # Neither the program itself multiplies nor a call that was under way at one of the graphs.
    one_call = table["type"].eq("frame") & table["count"].eq(1)
    more &= ~(table["path"].eq("__main__") | one_call).to_numpy(bool)
    more &= (counts > 1) | ~_above(more & (counts > 1), parent)
    larger = table["growth_shallow_bytes"].to_numpy() >= MATERIAL_BYTES
    larger &= (counts == 0) & table["steady_size"].to_numpy(dtype=bool) & ~own
    # Garbage that waits for the collector is one leak, whatever its cycles are made of.
    garbage = np.flatnonzero((table["kind"] == "cycle").to_numpy() & (parent < 0)).tolist()
    one_of = dict.fromkeys(garbage, garbage[0]) if garbage else {}
    groups: dict[int, Group] = {}
    holder_of: dict[int, int] = {}
    for node in np.flatnonzero(more).tolist():
        above = int(parent[node])
        # What multiplies somewhere below something that multiplies belongs to that one's group.
        over = above
        while over >= 0 and not more[over]:
            over = int(parent[over])
        if over >= 0:
            holder_of[node] = holder_of[over]
        else:
            # A root that multiplies (threads, tasks) has no holder but itself.
            holder = above if above >= 0 else node
            holder_of[node] = one_of.get(holder, holder)
        group = groups.setdefault(holder_of[node], Group(holder_of[node]))
        group.members.append(node)
        if over < 0:
            group.tops.append(node)
    for node in np.flatnonzero(larger).tolist():
        if node not in groups:  # grows in place; where objects pile up, it counts with them
            groups[node] = Group(node, [node], [node])
    return groups.values()


def _above(nodes: np.ndarray, parent: np.ndarray) -> np.ndarray:
    """Return which path nodes have one of ``nodes`` below them: one more is no pile beside them."""
    found = np.zeros(len(parent), dtype=bool)
    for node in np.flatnonzero(nodes).tolist():
        over = int(parent[node])
        while over >= 0 and not found[over]:
            found[over] = True
            over = int(parent[over])
    return found


def weakly_held(table: pd.DataFrame, group: Group) -> bool:
    """Whether a group is what a weak container knows its members by.

    They are as many as others keep: of asyncio's tasks, say, all of which it lists.
    """
    above = int(table["parent"].iloc[group.holder])
    types = table["type"].astype(str)
    in_weak = above >= 0 and types.iloc[above].rpartition(".")[2] in _WEAK_CONTAINERS
    return in_weak and bool(types.iloc[group.tops].str.startswith("weakref.").all())


def kept_bytes(retained: Any, shallow: Any, group: Group) -> float:
    """What a group keeps, or has gained, by that of each node: what its objects share included."""
    retained, shallow = np.asarray(retained, np.float64), np.asarray(shallow, np.float64)
    tops = float(retained[group.tops].clip(min=0.0).sum())
    own = 0.0 if group.holder in group.members else max(0.0, float(shallow[group.holder]))
    return max(tops + own, float(shallow[group.members].sum()))
