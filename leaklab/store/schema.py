"""The tables of a run, their columns and the history of the schema.

A run folder holds ``run.json`` and one parquet file per table (Arrow IPC streams, ``.arrows``,
while it is being recorded). Unmeasured is null, never 0 or -1. Sizes are bytes, times are seconds
since the start of the pass. ``process`` numbers are unique in a run, across passes.
"""

from __future__ import annotations

import pyarrow as pa

SCHEMA_VERSION = 1

HISTORY = {
    1: "first version",
}

TABLES: dict[str, pa.Schema] = {
    # One figure of one process at one moment. mark: marks the process has ended by then (null for
    # a sample taken by interval). quiescent: taken at a mark, right after gc.collect().
    "samples": pa.schema(
        [
            ("pass", pa.string()),
            ("process", pa.int32()),
            ("time_seconds", pa.float64()),
            ("mark", pa.int64()),
            ("quiescent", pa.bool_()),
            ("name", pa.string()),
            ("value", pa.float64()),
        ]
    ),
    # One row per snapshot of the live heap; ids count from 0 in each process. exact: the barrier
    # was seen, so the snapshot is the heap at that mark to the byte. cost_seconds: what taking it
    # cost the target.
    "snapshots": pa.schema(
        [
            ("pass", pa.string()),
            ("process", pa.int32()),
            ("snapshot", pa.int32()),
            ("mark", pa.int64()),
            ("time_seconds", pa.float64()),
            ("live_bytes", pa.int64()),
            ("allocation_count", pa.int64()),
            ("stack_count", pa.int32()),
            ("cost_seconds", pa.float64()),
            ("exact", pa.bool_()),
            ("quiescent", pa.bool_()),
        ]
    ),
    # Live bytes per allocation stack; only stacks that changed since the process's last snapshot,
    # with zeros for one that vanished.
    "heap": pa.schema(
        [
            ("process", pa.int32()),
            ("snapshot", pa.int32()),
            ("stack_id", pa.int64()),
            ("live_bytes", pa.int64()),
            ("allocation_count", pa.int64()),
        ]
    ),
    # frame_ids: most recent call first. allocator as memray names it, in lower case.
    "stacks": pa.schema(
        [
            ("stack_id", pa.int64()),
            ("allocator", pa.string()),
            ("frame_ids", pa.list_(pa.int32())),
        ]
    ),
    # file: relative to the working folder, "site-packages/…" or "stdlib/…", so that runs can be
    # moved and compared. origin: target, site-packages, stdlib, native or leaklab.
    "frames": pa.schema(
        [
            ("frame_id", pa.int32()),
            ("function", pa.string()),
            ("file", pa.string()),
            ("line", pa.int32()),
            ("origin", pa.string()),
        ]
    ),
    # Text of the target's source lines that appear in stacks, so that a run that was moved can
    # still show them.
    "sources": pa.schema([("file", pa.string()), ("line", pa.int32()), ("text", pa.string())]),
}
