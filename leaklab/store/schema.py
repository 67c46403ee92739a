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
    # a sample taken by interval). quiescent: taken at a mark, right after gc.collect(): of
    # the young alone where one of everything has long freed no more.
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
    # Units of work of one process that ended under a label since its row before. The rarest labels
    # between two told marks are counted together, as "other".
    "labels": pa.schema(
        [
            ("pass", pa.string()),
            ("process", pa.int32()),
            ("time_seconds", pa.float64()),
            ("mark", pa.int64()),
            ("label", pa.string()),
            ("count", pa.int64()),
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
    # Which call made what was open, running or waiting at a look: so many of one kind and one stack
    # (null where it is not known). kind: file, socket, pipe, thread, child, task, or what the
    # kernel calls another descriptor. how the stack is known: made (by that call), alike (by that
    # call or another one that opens a file of that name), runs (who made it is not known: what a
    # thread runs, where a task waits). subject: one of them (path, ends of a socket, a name).
    "origins": pa.schema(
        [
            ("pass", pa.string()),
            ("process", pa.int32()),
            ("time_seconds", pa.float64()),
            ("mark", pa.int64()),
            ("kind", pa.string()),
            ("stack_id", pa.int64()),
            ("how", pa.string()),
            ("count", pa.int64()),
            ("subject", pa.string()),
        ]
    ),
    # Text of the target's source lines that appear in stacks, so that a run that was moved can
    # still show them.
    "sources": pa.schema([("file", pa.string()), ("line", pa.int32()), ("text", pa.string())]),
    # One row per dump of an object graph; numbers count from 0 in each process. pause_seconds: how
    # long the target was held; walk_seconds: how long the copy then took. state: complete, or
    # failed with a reason.
    "graph_dumps": pa.schema(
        [
            ("pass", pa.string()),
            ("process", pa.int32()),
            ("dump", pa.int32()),
            ("mark", pa.int64()),
            ("time_seconds", pa.float64()),
            ("pause_seconds", pa.float64()),
            ("walk_seconds", pa.float64()),
            ("object_count", pa.int64()),
            ("edge_count", pa.int64()),
            ("shallow_bytes", pa.int64()),
            ("state", pa.string()),
            ("reason", pa.string()),
        ]
    ),
    # The objects of a dump by type.
    "objects": pa.schema(
        [
            ("process", pa.int32()),
            ("dump", pa.int32()),
            ("type", pa.string()),
            ("count", pa.int64()),
            ("shallow_bytes", pa.int64()),
            ("retained_bytes", pa.int64()),
        ]
    ),
    # Containers of a dump that are made to hold so many at most, by path and type of the object
    # that has the bound. attribute: of that object, "" where it is the container. bound_count and
    # held_count: of all such objects together, ``count`` of them.
    "bounds": pa.schema(
        [
            ("process", pa.int32()),
            ("dump", pa.int32()),
            ("path", pa.string()),
            ("type", pa.string()),
            ("attribute", pa.string()),
            ("count", pa.int64()),
            ("bound_count", pa.int64()),
            ("held_count", pa.int64()),
        ]
    ),
    # The objects of a dump by path node (object_graph/paths.py); node and parent (-1 at a root)
    # number the rows of one (process, dump, tree), parents first. tree: "path" (shortest paths from
    # the roots) or "dominator", where retained_bytes of children nest in their parent's. kind: of
    # the root. fingerprint: the same path and type in any dump, process or run.
    "paths": pa.schema(
        [
            ("process", pa.int32()),
            ("dump", pa.int32()),
            ("tree", pa.string()),
            ("node", pa.int32()),
            ("parent", pa.int32()),
            ("kind", pa.string()),
            ("step", pa.string()),
            ("type", pa.string()),
            ("path", pa.string()),
            ("fingerprint", pa.string()),
            ("count", pa.int64()),
            ("shallow_bytes", pa.int64()),
            ("retained_bytes", pa.int64()),
        ]
    ),
}
