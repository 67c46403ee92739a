"""Dumps of tracemalloc (``Snapshot.dump``): the heap by line, a moment a file."""

from __future__ import annotations

import pickle
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from leaklab.errors import LeaklabError, UsageError
from leaklab.importers.memray_page import file_name, origin_of
from leaklab.importers.moments import in_time
from leaklab.importers.reading import Member, Options, Reading, Source

NAME = "tracemalloc"


def recognise(source: Source) -> bool:
    """Return whether the file is a pickle that begins as a snapshot of tracemalloc; not loaded."""
    return source.head[:1] == b"\x80" and b"tracemalloc" in source.head[:200]


def read(source: Source, options: Options) -> Reading:
    """Read one dump; see :func:`read_all`."""
    return read_all([source.path], options)


def read_all(paths: Sequence[Path], options: Options) -> Reading:
    """Read dumps as snapshots of one process, one iteration each, in the order of time.

    Raises UsageError unless a pickle may be loaded (``--trust-pickle``): doing so runs whatever is
    in it.
    """
    if not options.trust_pickle:
        raise UsageError(
            f"a dump of tracemalloc, which is a pickle: {paths[0]}; loading it runs what is in it: "
            "with --trust-pickle, if it is your own"
        )
    if len(paths) < 2:
        raise UsageError(
            f"one dump of tracemalloc has no course: {paths[0]}; name two or more, in order"
        )
    frames: dict[tuple[str, int], int] = {}
    stacks: dict[tuple[int, ...], int] = {}
    heap: dict[str, list[int]] = {
        "process": [], "snapshot": [], "stack_id": [], "live_bytes": [], "allocation_count": []
    }  # fmt: skip
    totals: list[tuple[int, int, int]] = []
    before: dict[int, tuple[int, int]] = {}
    ordered, order = in_time(paths)
    for number, path in enumerate(ordered):
        now = _live(_load(path), frames, stacks)
        for stack in sorted(set(before) | set(now)):
            figures = now.get(stack, (0, 0))
            if figures != before.get(stack, (0, 0)):
                row = (0, number, stack, *figures)
                for column, value in zip(heap.values(), row, strict=True):
                    column.append(value)
        size = sum(entry[0] for entry in now.values())
        totals.append((size, sum(entry[1] for entry in now.values()), len(now)))
        before = now
    return Reading(
        title="tracemalloc",
        understood=f"{len(paths)} dumps {f'taken {order}, ' if order else ''}as iterations, "
        "heap_bytes by line (of Python's own allocators only)",
        members=[Member("main", ())],
        tables=_tables(heap, totals, frames, stacks),
        timed=False,
    )


def _load(path: Path) -> tracemalloc.Snapshot:
    try:
        found = tracemalloc.Snapshot.load(str(path))
    except (OSError, pickle.UnpicklingError, EOFError, AttributeError, ImportError) as error:
        raise LeaklabError(f"damaged dump of tracemalloc: {path}; {error}") from None
    if not isinstance(found, tracemalloc.Snapshot):
        raise LeaklabError(f"no dump of tracemalloc: {path}; it holds a {type(found).__name__}")
    return found


def _live(
    snapshot: tracemalloc.Snapshot,
    frames: dict[tuple[str, int], int],
    stacks: dict[tuple[int, ...], int],
) -> dict[int, tuple[int, int]]:
    """Live bytes and blocks by stack number."""
    live: dict[int, tuple[int, int]] = {}
    for entry in snapshot.statistics("traceback"):
        # Oldest call first in a traceback, latest first in a stack of ours.
        ids = tuple(
            frames.setdefault((frame.filename, frame.lineno), len(frames))
            for frame in reversed(entry.traceback)
        )
        stack = stacks.setdefault(ids, len(stacks))
        size, count = live.get(stack, (0, 0))
        live[stack] = (size + entry.size, count + entry.count)
    return live


def _tables(
    heap: dict[str, list[int]],
    totals: list[tuple[int, int, int]],
    frames: dict[tuple[str, int], int],
    stacks: dict[tuple[int, ...], int],
) -> dict[str, Any]:
    count = len(totals)
    files = [file_name(name) for name, _ in frames]
    return {
        "heap": heap,
        "snapshots": {
            "pass": ["explain"] * count,
            "process": [0] * count,
            "snapshot": list(range(count)),
            "mark": list(range(1, count + 1)),
            # A dump has no time: its number keeps the order (see ``timed`` of the reading).
            "time_seconds": [float(number) for number in range(count)],
            "live_bytes": [size for size, _, _ in totals],
            "allocation_count": [blocks for _, blocks, _ in totals],
            "stack_count": [number for _, _, number in totals],
            "exact": [True] * count,
            "quiescent": [False] * count,
        },
        "frames": {
            "frame_id": list(frames.values()),
            "function": ["line"] * len(frames),
            "file": files,
            "line": [line for _, line in frames],
            "origin": [origin_of(name) for name in files],
        },
        "stacks": {
            "stack_id": list(stacks.values()),
            "allocator": ["pymalloc"] * len(stacks),
            "frame_ids": [list(ids) for ids in stacks],
        },
    }
