"""The options of `ll.record` by name and type, for type checkers, help and completion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict


class RecordKeywords(TypedDict, total=False):
    """The fields of :class:`leaklab.recorder.options.RecordOptions` that a caller may give."""

    python: str | None
    cwd: str | None
    env: Mapping[str, str] | None
    passes: Sequence[str] | None
    after_failure: bool
    interval_seconds: float | None
    duration_seconds: float | None
    limit_memory_bytes: int | None
    graph_at_share: float | None
    limit_disk_bytes: int | None
    watch_files: Sequence[str]
    watch_containers: Sequence[str]
    watch_lines: Sequence[str]
    parameters: Mapping[str, Any]
    collect: str
    graphs: str
    graph_limit_seconds: float
    native: bool
    python_allocators: bool
    keep_capture: bool
    mark_on: Sequence[str]
    mark_share: float
    collect_share: float
    snapshot_share: float
    drive: str | None
    drive_round_count: int
    drive_idle_seconds: float
    drive_port: int | None
    pid: int | None
    channel: str | None
    echo: bool
    stdin: str
    until_decided: bool
    traced_window_seconds: float | None
    trace_share: float | None
    horizon_seconds: float | None
    expected_mark_count: int | None
    cells: Mapping[str, Sequence[str]]
    case: Mapping[str, Any] | None
