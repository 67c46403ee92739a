"""memray capture files as runs: live bytes per stack over time."""

from __future__ import annotations

import contextlib
import logging
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaklab.errors import LeaklabError, UsageError
from leaklab.recorder.captures import LZ4_FRAME
from leaklab.recorder.captures.history import History, last_heap, lifetimes
from leaklab.recorder.heap.stacks import StackTable
from leaklab.recorder.sources import store_sources
from leaklab.store import RunWriter, default_store

if TYPE_CHECKING:
    import memray

# Points in time at which the heap is rebuilt: enough for a verdict, few enough that memray's
# history of a capture of any length stays small.
SNAPSHOT_COUNT = 200
# memray samples resident memory this often, and once more when it closes a capture.
MEMORY_INTERVAL_SECONDS = 0.01
# A file whose samples end this much before its header says was cut, however busy the machine was.
LEAST_MISSING_SECONDS = 0.2
MISSING_SHARE = 0.05
_BLOCK_BYTES = 1 << 18


@dataclass(frozen=True)
class _Content:
    """What a capture tells: (seconds, resident bytes) over time, and the heap at its snapshots."""

    moments: list[tuple[float, int]]
    heap_seconds: list[float]
    history: History
    note: str | None


def import_capture(
    capture: str | Path,
    *,
    store: str | None = None,
    name: str | None = None,
    variant: str | None = "capture",
    limits: dict[str, float] | None = None,
    more: Mapping[str, Any] | None = None,
) -> str:
    """Turn ``capture`` and its children's files (``capture.PID``) into a run; return its path.

    ``variant``, ``limits`` (as in run.json: memory_bytes) and what ``more`` run.json is to say are
    kept with the run.

    A plain capture gives the live heap at up to ``SNAPSHOT_COUNT`` moments and the resident set
    size beside it. An aggregated one has no history: it gives the heap at the end alone, from which
    no verdict can be drawn.

    Raises UsageError when there is no such file, LeaklabError when it is no capture of memray's.
    """
    path = Path(capture)
    if not path.is_file():
        raise UsageError(f"no capture file: {path}; allowed: a file written by `memray run`")
    with _silence():
        headers = [(file, _header(file)) for file in (path, *children_of(path))]
        meta = {**_meta(path, headers[0][1]), "limits": limits or {}, "name_given": bool(name)}
        meta.update(more or {})
        where = store or default_store()
        return _import(headers, RunWriter.create(where, name or path.stem, variant, meta))


def first_block(path: Path) -> bytes:
    """Return how the stream in a capture begins, unpacked, or whatever else the file is."""
    import pyarrow as pa

    with path.open("rb") as file:
        compressed = file.read(len(LZ4_FRAME)) == LZ4_FRAME
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(pa.OSFile(str(path), "rb"))
        if compressed:
            source = stack.enter_context(pa.CompressedInputStream(source, "lz4"))
        # A file that was not closed may end in the middle of its first frame.
        with contextlib.suppress(OSError):
            return bytes(source.read(_BLOCK_BYTES))
    return b""


def can_read(capture: Path) -> bool:
    """Return whether the memray that is installed can read ``capture``."""
    try:
        with _silence():
            _header(capture)
    except LeaklabError:
        return False
    return True


def _import(headers: list[tuple[Path, memray.Metadata]], writer: RunWriter) -> str:
    stacks = StackTable()
    state = "incomplete"
    try:
        processes = []
        for number, (file, header) in enumerate(headers):
            processes.append(_import_process(writer, stacks, number, file, header))
        duration = max(process["ended_seconds"] or 0.0 for process in processes)
        row = {**writer.meta["passes"][0], "duration_seconds": duration}
        writer.update(processes=processes, passes=[row])
        store_sources(writer, stacks)
        state = "complete"
    finally:
        writer.close(state)
    return writer.path


def children_of(path: Path) -> list[Path]:
    """Return the files memray wrote for forked children: the same name and a pid."""
    found = [file for file in path.parent.glob(f"{path.name}.*") if file.suffix[1:].isdecimal()]
    return sorted(found, key=lambda file: int(file.suffix[1:]))


def _header(path: Path) -> memray.Metadata:
    """What the capture says of itself, from its first block; raises LeaklabError for no capture."""
    import memray

    # memray's reader reads what it opens to its end.
    with tempfile.NamedTemporaryFile() as file:
        file.write(first_block(path))
        file.flush()
        try:
            return memray.FileReader(file.name).metadata
        except (OSError, RuntimeError, ValueError) as error:
            reason = str(error).strip() or type(error).__name__
            raise LeaklabError(
                f"not a capture file memray {version('memray')} can read: {path}; {reason}"
            ) from None


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """memray says on stderr where a file ends in the middle of a record; the run says that."""
    from memray._memray import set_log_level

    set_log_level(logging.CRITICAL)
    try:
        yield
    finally:
        set_log_level(logging.WARNING)


def _meta(path: Path, header: memray.Metadata) -> dict[str, Any]:
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
    writer: RunWriter, stacks: StackTable, number: int, path: Path, header: memray.Metadata
) -> dict[str, Any]:
    import memray

    content = _read(path, header, stacks)
    if content.note is not None:
        writer.event("import", f"{path.name}: {content.note}", process=number)
    _write_series(writer, number, content.moments)
    _write_heap(writer, stacks, number, content.heap_seconds, content.history)
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
        "ended_seconds": content.moments[-1][0] if content.moments else None,
        "exit_status": None,
        "traced": True,
        "note": content.note,
        "aggregated": header.file_format == memray.FileFormat.AGGREGATED_ALLOCATIONS,
    }


def _read(path: Path, header: memray.Metadata, stacks: StackTable) -> _Content:
    """Read a capture with memray's reader: once for its samples and once for its heap."""
    import memray

    reader = memray.FileReader(path, max_memory_records=SNAPSHOT_COUNT)
    started = header.start_time.timestamp()
    moments = [
        (snapshot.time / 1000 - started, snapshot.rss) for snapshot in reader.get_memory_snapshots()
    ]
    end = moments[-1][0] if moments else 0.0
    if header.file_format == memray.FileFormat.AGGREGATED_ALLOCATIONS:
        end = end or header.end_time.timestamp() - started
        note: str | None = (
            "aggregated capture: no history, only the heap at the end (at most "
            f"{header.peak_memory / (1 << 20):.3g} MiB before); record without --aggregate for a "
            "verdict"
        )
        heap_seconds, history = [end], last_heap(reader, stacks)
    else:
        note = _why_open(header, end)
        heap_seconds = [seconds for seconds, _ in moments]
        if note is not None:
            heap_seconds.append(end + MEMORY_INTERVAL_SECONDS)
        history = lifetimes(reader, stacks, len(heap_seconds))
    reader.close()
    return _Content(moments, heap_seconds, history, note)


def _why_open(header: memray.Metadata, last_seconds: float) -> str | None:
    """Why the capture goes on after its last sample; None where memray closed it.

    Closing it, memray writes the end into the header; until then that is the start.
    """
    lasted = (header.end_time - header.start_time).total_seconds()
    missing = lasted - last_seconds
    if missing > max(LEAST_MISSING_SECONDS, MISSING_SHARE * lasted):
        return (
            f"the file is cut off: its figures end after {last_seconds:.3g} of {lasted:.3g} "
            "seconds; copy it again"
        )
    if lasted >= max(last_seconds, MEMORY_INTERVAL_SECONDS):
        return None
    return "the capture was not closed: the process was killed or still runs"


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
    writer: RunWriter, stacks: StackTable, number: int, seconds: list[float], history: History
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
