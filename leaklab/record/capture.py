"""memray capture files as runs: live bytes per stack over time, from one pass over the file."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaklab.errors import LeaklabError, UsageError
from leaklab.record.heap import ALLOCATORS, SourcePaths, StackTable
from leaklab.record.sources import store_sources
from leaklab.store import RunWriter, default_store

if TYPE_CHECKING:
    import memray
    import numpy as np
    import numpy.typing as npt

# Points in time at which the heap is rebuilt: enough for a verdict, few enough that memray's
# history of a capture of any length stays small.
SNAPSHOT_COUNT = 200

# memray's default spacing; a capture that was cut off ends less than this after its last sample.
_MEMORY_INTERVAL_SECONDS = 0.01


@dataclass(frozen=True)
class _History:
    """Live bytes and allocations as steps: what changed at which snapshot, by stack."""

    stack: npt.NDArray[np.int64]
    snapshot: npt.NDArray[np.int64]
    live_bytes: npt.NDArray[np.int64]
    allocation_count: npt.NDArray[np.int64]


def import_capture(
    capture: str | Path, *, store: str | None = None, name: str | None = None
) -> str:
    """Turn ``capture`` and its children's files (``capture.PID``) into a run; return its path.

    A plain capture gives the live heap at up to ``SNAPSHOT_COUNT`` moments and the resident set
    size beside it. An aggregated one has no history: it gives the heap at its high-water mark and
    at the end, from which no verdict can be drawn.

    Raises UsageError when there is no such file, LeaklabError when it is no capture of memray's.
    """
    path = Path(capture)
    if not path.is_file():
        raise UsageError(f"no capture file: {path}; allowed: a file written by `memray run`")
    readers = [(file, _open(file)) for file in (path, *_children(path))]
    writer = RunWriter.create(
        store or default_store(), name or path.stem, "capture", _meta(path, readers[0][1])
    )
    stacks = StackTable()
    state = "incomplete"
    try:
        processes = []
        for number, (file, reader) in enumerate(readers):
            processes.append(_import_process(writer, stacks, number, file, reader))
        duration = max(process["ended_seconds"] or 0.0 for process in processes)
        row = {**writer.meta["passes"][0], "duration_seconds": duration}
        writer.update(processes=processes, passes=[row])
        store_sources(writer, stacks)
        state = "complete"
    finally:
        writer.close(state)
        for _, reader in readers:
            reader.close()
    return writer.path


def _children(path: Path) -> list[Path]:
    """Return the files memray wrote for forked children: the same name and a pid."""
    found = [file for file in path.parent.glob(f"{path.name}.*") if file.suffix[1:].isdecimal()]
    return sorted(found, key=lambda file: int(file.suffix[1:]))


def _open(path: Path) -> memray.FileReader:
    import memray

    try:
        return memray.FileReader(path, max_memory_records=SNAPSHOT_COUNT)
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip() or type(error).__name__
        raise LeaklabError(
            f"not a capture file memray {version('memray')} can read: {path}; {reason}"
        ) from None


def _meta(path: Path, reader: memray.FileReader) -> dict[str, Any]:
    header = reader.metadata
    return {
        "command": {
            "argv": _words(header.command_line),
            "kind": "program",
            "python": None,
            "capture": path.name,
        },
        "parameters": {},
        "options": {"native": header.has_native_traces, "passes": ["explain"]},
        "versions": {"memray": version("memray")},
        "created": header.start_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "passes": [
            {
                "pass": "explain",
                "started": header.start_time.isoformat(),
                "duration_seconds": None,
                "exit_status": None,
                "signal": None,
                "stopped_by": None,
                "stdout_tail": "",
                "stderr_tail": "",
                "traced": True,
                "why_untraced": None,
            }
        ],
    }


def _words(command_line: str) -> list[str]:
    try:
        return shlex.split(command_line)
    except ValueError:
        return command_line.split()


def _import_process(
    writer: RunWriter, stacks: StackTable, number: int, path: Path, reader: memray.FileReader
) -> dict[str, Any]:
    import memray

    header = reader.metadata
    started = header.start_time.timestamp()
    moments = [
        (snapshot.time / 1000 - started, snapshot.rss) for snapshot in reader.get_memory_snapshots()
    ]
    note = None
    if header.file_format == memray.FileFormat.AGGREGATED_ALLOCATIONS:
        note = "aggregated capture: no history, only the high-water mark and the end"
        writer.event("import", f"{path.name}: {note}", process=number)
        end = moments[-1][0] if moments else header.end_time.timestamp() - started
        history = _two_heaps(reader, stacks)
        heap_seconds = [end, end]
    else:
        heap_seconds = [seconds for seconds, _ in moments]
        if not header.total_frames:  # memray fills this in when it closes the file
            note = "the capture was not closed: the process was killed or still runs"
            writer.event("import", f"{path.name}: {note}", process=number)
            heap_seconds.append((heap_seconds or [0.0])[-1] + _MEMORY_INTERVAL_SECONDS)
        history = _history(reader, stacks, len(heap_seconds))
    _write_series(writer, number, moments)
    _write_heap(writer, stacks, number, heap_seconds, history)
    return {
        "process": number,
        "pass": "explain",
        "pid": header.pid,
        "parent": 0 if number else None,
        "role": "fork of main" if number else "main",
        "argv": _words(header.command_line),
        "python": None,
        "mark_count": 0,
        "started_seconds": 0.0,
        "ended_seconds": moments[-1][0] if moments else None,
        "exit_status": None,
        "traced": True,
        "note": note,
    }


def _history(reader: memray.FileReader, stacks: StackTable, snapshot_count: int) -> _History:
    """Return every change of every stack, from memray's lifetimes (one native pass)."""

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


def _two_heaps(reader: memray.FileReader, stacks: StackTable) -> _History:
    peak = _with_stack(reader.get_high_watermark_allocation_records(), reader, stacks)
    end = _with_stack(reader.get_leaked_allocation_records(), reader, stacks)

    def steps() -> Iterator[tuple[int, int, int, int]]:
        for stack, record in peak:
            yield stack, 0, record.size, record.n_allocations
            yield stack, 1, -record.size, -record.n_allocations
        for stack, record in end:
            yield stack, 1, record.size, record.n_allocations

    return _collect(steps())


def _with_stack(
    records: Iterable[Any], reader: memray.FileReader, stacks: StackTable
) -> Iterator[tuple[int, Any]]:
    paths = SourcePaths(str(Path.cwd()))
    native = reader.metadata.has_native_traces
    for record in records:
        frames = record.hybrid_stack_trace() if native else record.stack_trace()
        allocator = ALLOCATORS.get(record.allocator, str(record.allocator))
        yield stacks.add(allocator, frames, paths), record


def _collect(steps: Iterator[tuple[int, int, int, int]]) -> _History:
    """Sum the steps of each stack at each snapshot and run them up to what is live."""
    import numpy as np

    rows = np.fromiter(steps, dtype=np.dtype((np.int64, 4)))
    if not len(rows):
        return _History(*(np.empty(0, np.int64) for _ in range(4)))
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
    return _History(stack[changed], snapshot[changed], live[changed, 0], live[changed, 1])


def _write_series(writer: RunWriter, number: int, moments: list[tuple[float, int]]) -> None:
    count = len(moments)
    writer.append(
        "samples",
        {
            "pass": ["explain"] * count,
            "process": [number] * count,
            "time_seconds": [seconds for seconds, _ in moments],
            "quiescent": [False] * count,
            "name": ["rss_bytes"] * count,
            "value": [float(rss) for _, rss in moments],
        },
    )


def _write_heap(
    writer: RunWriter, stacks: StackTable, number: int, seconds: list[float], history: _History
) -> None:
    """Write the snapshots of one process and what changed at each."""
    import numpy as np

    for table, rows in stacks.new_rows().items():
        writer.append(table, rows)
    order = np.argsort(history.snapshot, kind="stable")
    bounds = np.searchsorted(history.snapshot[order], np.arange(len(seconds) + 1))
    live: dict[int, tuple[int, int]] = {}
    total_bytes = total_count = 0
    for snapshot, moment in enumerate(seconds):
        rows_here = order[bounds[snapshot] : bounds[snapshot + 1]]
        stack = history.stack[rows_here].tolist()
        size = history.live_bytes[rows_here].tolist()
        count = history.allocation_count[rows_here].tolist()
        for key, figures in zip(stack, zip(size, count, strict=True), strict=True):
            old = live.pop(key, (0, 0))
            total_bytes += figures[0] - old[0]
            total_count += figures[1] - old[1]
            if figures != (0, 0):
                live[key] = figures
        writer.append(
            "heap",
            {
                "process": [number] * len(stack),
                "snapshot": [snapshot] * len(stack),
                "stack_id": stack,
                "live_bytes": size,
                "allocation_count": count,
            },
        )
        writer.append(
            "snapshots",
            {
                "pass": ["explain"],
                "process": [number],
                "snapshot": [snapshot],
                "time_seconds": [moment],
                "live_bytes": [total_bytes],
                "allocation_count": [total_count],
                "stack_count": [len(live)],
                "exact": [True],
                "quiescent": [False],
            },
        )
