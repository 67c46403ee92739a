"""The live heap over the snapshots of one role, from the stored changes.

The store keeps for each snapshot only the stacks that changed. Here they become differences: any
sum over stacks and processes, at any snapshot, is then one weighted count and one cumulative sum,
and the dense matrix of all stacks and snapshots (which may not fit) is never built.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from leaklab.analysis.kernels_own import own_stacks
from leaklab.analysis.lives import longest_life
from leaklab.analysis.looks import evenly
from leaklab.analysis.series import (
    as_flags,
    as_floats,
    choose_points,
    has_clock,
    processes_of,
    summed,
    work_end,
)
from leaklab.analysis.work import after_imports, within_work

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leaklab.store import RunData

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]


@dataclass(frozen=True)
class HeapTimeline:
    """Live bytes of one role: ``column_count`` snapshots and the differences between them.

    x: marks or seconds (``unit``) of each column. stack_ids: the stacks, by their code.
    code, column, bytes_change, count_change: one entry per change.
    """

    x: Floats
    time_seconds: Floats
    unit: str
    stack_ids: Integers
    code: NDArray[np.int32]
    column: NDArray[np.int32]
    bytes_change: Integers
    count_change: Integers

    @property
    def column_count(self) -> int:
        """How many snapshots the timeline has."""
        return len(self.x)

    @property
    def last_half(self) -> int:
        """The column where the last half of the run begins."""
        middle = (self.x[0] + self.x[-1]) / 2
        return min(int(np.searchsorted(self.x, middle)), self.column_count - 1)

    def until(self, end: int) -> HeapTimeline:
        """The timeline of the first ``end`` columns."""
        if end >= self.column_count:
            return self
        kept = self.column < end
        return HeapTimeline(
            self.x[:end],
            self.time_seconds[:end],
            self.unit,
            self.stack_ids,
            self.code[kept],
            self.column[kept],
            self.bytes_change[kept],
            self.count_change[kept],
        )

    def total(self) -> Floats:
        """Live bytes of the role at each column."""
        sums = np.bincount(self.column, weights=self.bytes_change, minlength=self.column_count)
        return np.cumsum(sums)

    def live(self, column: int, *, count: bool = False) -> Floats:
        """Live bytes (or allocations) of each stack at a column; not to be written to."""
        key = column, count
        if key not in self._live:
            weights = self.count_change if count else self.bytes_change
            until = self.column <= column
            sums = np.bincount(
                self.code[until], weights=weights[until], minlength=len(self.stack_ids)
            )
            self._live[key] = sums.astype(np.float64, copy=False)
        return self._live[key]

    def each(self, stacks: Integers) -> Floats:
        """Live bytes of a few stacks (their codes) by stack and column."""
        order, begins = self._by_stack
        parts = [order[begins[code] : begins[code + 1]] for code in stacks.tolist()]
        entries = np.concatenate(parts) if parts else order[:0]
        row = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        sums = np.bincount(
            row * self.column_count + self.column[entries],
            weights=self.bytes_change[entries],
            minlength=len(parts) * self.column_count,
        )
        return np.cumsum(sums.reshape(len(parts), self.column_count), axis=1)

    @cached_property
    def _live(self) -> dict[tuple[int, bool], Floats]:
        return {}

    @cached_property
    def _by_stack(self) -> tuple[Integers, Integers]:
        """The changes in the order of their stacks, and where those of each begin."""
        order = np.argsort(self.code, kind="stable")
        return order, np.searchsorted(self.code[order], np.arange(len(self.stack_ids) + 1))

    def grouped(self, group: Integers, group_count: int, *, count: bool = False) -> Floats:
        """Live bytes by group and column; ``group`` maps stack codes, negative leaves one out."""
        weights = self.count_change if count else self.bytes_change
        of_entry = group[self.code]
        keep = of_entry >= 0
        cell = of_entry[keep].astype(np.int64) * self.column_count + self.column[keep]
        size = group_count * self.column_count
        sums = np.bincount(cell, weights=weights[keep], minlength=size)
        return np.cumsum(sums.reshape(group_count, self.column_count), axis=1)


# A run's tables never change, and its study, its tree and its resident set ask for the same heap.
_TIMELINES: WeakKeyDictionary[RunData, dict[tuple[str, int | None], HeapTimeline | None]] = (
    WeakKeyDictionary()
)


def heap_timeline(
    data: RunData, *, role: str = "main", process: int | None = None
) -> HeapTimeline | None:
    """The heap of one role in the explain pass, or None where it was not recorded.

    process: of this one alone; where its heap was not traced, of the one that did the most work.
    Snapshots at marks are used where there are enough of them, exact ones before inexact ones,
    else those after a collection by time, else all.
    """
    known = _TIMELINES.setdefault(data, {})
    key = role, process
    if key not in known:
        known[key] = _timeline(data, role, process)
    return known[key]


def _members(data: RunData, role: str, process: int | None) -> dict[int, dict[str, Any]]:
    members = processes_of(data, role, "explain")
    if process is None:
        # One life of several: what the others held is no part of it.
        return longest_life(members)
    traced = set(data.snapshots["process"]) & set(members)
    most = sorted(traced, key=lambda n: members[n].get("mark_count") or 0)[-1:]
    return {n: members[n] for n in ([process] if process in traced else most)}


def _timeline(data: RunData, role: str, alone: int | None) -> HeapTimeline | None:
    snapshots = data.snapshots
    if not len(snapshots):
        return None
    members = _members(data, role, alone)
    snapshots = snapshots[snapshots["process"].isin(list(members))]
    at_work = within_work(snapshots, members) & after_imports(snapshots, members)
    snapshots = snapshots[at_work]
    if not len(snapshots):
        return None
    snapshots = snapshots.sort_values("time_seconds", kind="stable")
    marks = as_floats(snapshots["mark"])
    time_seconds = as_floats(snapshots["time_seconds"])
    exact = as_flags(snapshots["exact"])
    collected = as_flags(snapshots["quiescent"])
    clock = has_clock(data.meta)
    selected, unit = choose_points(marks, exact, collected, time_seconds, clock=clock)
    process = snapshots["process"].to_numpy(np.int64)
    if unit == "iteration":
        even = evenly(marks[selected], process[selected], members, "snapshot_step")
    else:
        even = evenly(
            time_seconds[selected],
            process[selected],
            members,
            "snapshot_step_seconds",
            since_start=True,
        )
    selected[selected] = even
    x = time_seconds[selected]
    if unit == "iteration":
        x = summed(process[selected], x, np.nan_to_num(marks[selected]), {})
    columns = _columns(process, snapshots["snapshot"].to_numpy(np.int64), selected)
    parts = _changes(data, members)
    if not len(parts["stack_id"]):
        return None
    # Sorted by stack within each process: the distinct ones are few, and looked up quickly.
    edges = np.append(True, np.diff(parts["stack_id"]) != 0)
    stack_ids = np.unique(parts["stack_id"][edges]).astype(np.int64)
    code = np.searchsorted(stack_ids, parts["stack_id"]).astype(np.int32)
    del parts["stack_id"]
    column = columns.lookup(parts["process"], parts.pop("snapshot"))
    endings = _endings(members, time_seconds[selected], code, column, parts)
    entry: tuple[Any, ...] = (code, column, parts["bytes_change"], parts["count_change"])
    used = column >= 0
    if not used.all():
        entry = tuple(array[used] for array in entry)
    if endings:
        entry = tuple(np.concatenate(arrays) for arrays in zip(entry, *endings, strict=True))
    timeline = HeapTimeline(x, time_seconds[selected], unit, stack_ids, *entry)
    return timeline.until(work_end(timeline.total(), ends=True)) if unit == "second" else timeline


@dataclass(frozen=True)
class _Columns:
    """Which column a snapshot's changes belong to: the next selected one of its process."""

    processes: Integers
    snapshots: list[Integers]
    columns: list[Integers]

    def lookup(self, process: NDArray[Any], snapshot: NDArray[Any]) -> NDArray[np.int32]:
        """The column of each row's snapshot, -1 where none follows; ``process`` is sorted."""
        found = np.full(len(process), -1, np.int32)
        for number, snapshots, columns in zip(
            self.processes, self.snapshots, self.columns, strict=True
        ):
            mine = slice(*np.searchsorted(process, (number, number + 1)))
            found[mine] = columns[np.searchsorted(snapshots, snapshot[mine])]
        return found


def _columns(process: Integers, snapshot: Integers, selected: NDArray[np.bool_]) -> _Columns:
    column_of = np.cumsum(selected) - 1
    processes = np.unique(process)
    snapshots, columns = [], []
    for number in processes:
        mine = np.flatnonzero((process == number) & selected)
        mine = mine[np.argsort(snapshot[mine], kind="stable")]
        snapshots.append(snapshot[mine])
        # One more place: changes after the last selected snapshot belong to no column.
        columns.append(np.append(column_of[mine], -1))
    return _Columns(processes, snapshots, columns)


def _changes(data: RunData, members: dict[int, Any]) -> dict[str, NDArray[Any]]:
    """The heap rows as differences to the same stack's previous row in the same process.

    The one table that may be large (millions of rows): taken from Arrow column by column.
    """
    heap = data.arrow("heap")
    process = heap["process"].to_numpy()
    own = own_stacks(data)
    if len(own) or len(np.setdiff1d(np.unique(process), list(members))):
        others = np.isin(process, list(members)) & ~np.isin(heap["stack_id"].to_numpy(), own)
        heap = heap.filter(others)
        process = heap["process"].to_numpy()
    order = np.lexsort((heap["snapshot"].to_numpy(), heap["stack_id"].to_numpy(), process))
    parts: dict[str, NDArray[Any]] = {"process": process[order]}
    for name in ("snapshot", "stack_id"):
        parts[name] = heap[name].to_numpy()[order]
    fresh = np.ones(len(order), bool)
    for name in ("process", "stack_id"):
        fresh[1:] &= parts[name][1:] == parts[name][:-1]
    np.logical_not(fresh[1:], out=fresh[1:])
    for target, source in (("bytes_change", "live_bytes"), ("count_change", "allocation_count")):
        value = heap[source].fill_null(0).to_numpy()[order]
        change = np.diff(value, prepend=0)
        change[fresh] = value[fresh]
        parts[target] = change
    return parts


def _endings(
    members: dict[int, Any],
    time_seconds: Floats,
    code: NDArray[np.int32],
    column: NDArray[np.int32],
    parts: dict[str, NDArray[Any]],
) -> list[tuple[Any, ...]]:
    """What a process held when it ended leaves the role's heap at its end."""
    entries = []
    for number, entry in members.items():
        ended = entry.get("ended_seconds")
        if ended is None or not len(time_seconds) or ended >= time_seconds[-1]:
            continue
        mine = (parts["process"] == number) & (column >= 0)
        if not mine.any():
            continue
        at = max(int(np.searchsorted(time_seconds, ended, side="right")), int(column[mine].max()))
        at = min(at, len(time_seconds) - 1)
        entries.append(
            (
                code[mine],
                np.full(int(mine.sum()), at, np.int32),
                -parts["bytes_change"][mine],
                -parts["count_change"][mine],
            )
        )
    return entries
