"""The heap of a memray capture over time, as memray's own reader tells it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaklab.recorder.heap.stacks import ALLOCATORS, SourcePaths, StackTable

if TYPE_CHECKING:
    import memray
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class History:
    """Live bytes and allocations of a stack from a snapshot on, wherever they changed."""

    stack: npt.NDArray[np.int64]
    snapshot: npt.NDArray[np.int64]
    live_bytes: npt.NDArray[np.int64]
    allocation_count: npt.NDArray[np.int64]


def lifetimes(reader: memray.FileReader, stacks: StackTable, snapshot_count: int) -> History:
    """Return every change of every stack at the reader's samples, from one native pass."""

    def steps() -> Iterator[tuple[int, int, int, int]]:
        for stack, record in _with_stack(
            reader.get_temporal_allocation_records(merge_threads=True), reader, stacks
        ):
            for interval in record.intervals:
                size, count = interval.n_bytes, interval.n_allocations
                yield stack, interval.allocated_before_snapshot, size, count
                freed = interval.deallocated_before_snapshot
                if freed is not None:
                    yield stack, freed, -size, -count

    # In a capture that was closed, what comes after the last snapshot is the interpreter taking
    # itself down.
    return _collect(step for step in steps() if step[1] < snapshot_count)


def last_heap(reader: memray.FileReader, stacks: StackTable) -> History:
    """Return the heap at the end, as one snapshot.

    That at the high-water mark has no moment that is told: beside this one each line of what stayed
    would be there twice.
    """
    end = _with_stack(reader.get_leaked_allocation_records(), reader, stacks)
    return _collect((stack, 0, record.size, record.n_allocations) for stack, record in end)


def _with_stack(
    records: Iterable[Any], reader: memray.FileReader, stacks: StackTable
) -> Iterator[tuple[int, Any]]:
    paths = SourcePaths(str(Path.cwd()))
    native = reader.metadata.has_native_traces
    for record in records:
        frames = record.hybrid_stack_trace() if native else record.stack_trace()
        allocator = ALLOCATORS.get(record.allocator, str(record.allocator))
        yield stacks.add(allocator, frames, paths), record


def _collect(steps: Iterator[tuple[int, int, int, int]]) -> History:
    """Sum the steps of each stack at each snapshot and run them up to what is live."""
    import numpy as np

    rows = np.fromiter(steps, dtype=np.dtype((np.int64, 4)))
    if not len(rows):
        return History(*(np.empty(0, np.int64) for _ in range(4)))
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    first = np.flatnonzero(np.any(np.diff(rows[:, :2], axis=0, prepend=-1), axis=1))
    steps_by_moment = np.add.reduceat(rows[:, 2:], first, axis=0)
    stack, snapshot = rows[first, 0], rows[first, 1]
    live = np.cumsum(steps_by_moment, axis=0)
    # Each stack's own sum: take away what the stacks before it had come to.
    starts = np.flatnonzero(np.diff(stack, prepend=-1))
    before = np.vstack([np.zeros((1, 2), np.int64), live[starts[1:] - 1]])
    live -= np.repeat(before, np.diff(np.append(starts, len(stack))), axis=0)
    changed = np.any(steps_by_moment != 0, axis=1)
    return History(stack[changed], snapshot[changed], live[changed, 0], live[changed, 1])
