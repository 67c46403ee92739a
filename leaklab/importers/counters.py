"""Columns that count what was done: they grow in a healthy process, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from leaklab.importers.columns import MARK_WORDS, is_counter, is_memory
from leaklab.importers.reading import Member
from leaklab.importers.units import words_of

# Work that ends, one by one: rates by it say more than rates by time.
_WORK_WORDS = frozenset(
    (
        "request", "requests", "iteration", "iterations", "task", "tasks", "job", "jobs",
        "message", "messages", "call", "calls", "event", "events", "queries", "handled",
        "processed", "served", "completed", "finished", "done",
    )
)  # fmt: skip
# What is over when it is counted, and time that has passed; not "count": sessions have one, too.
_DONE_WORDS = _WORK_WORDS | {
    "total", "cumulative", "sent", "received", "written", "read", "reads", "writes",
    "collections", "collected", "hits", "misses", "errors", "faults", "switches", "evictions",
    "uptime", "elapsed", "seconds",
}  # fmt: skip
# What is there now: where this never falls it piles up.
_NOW_WORDS = frozenset(
    (
        "active", "open", "pending", "queued", "queue", "waiting", "running", "flight", "inflight",
        "current", "live", "alive", "held", "size", "depth", "objects", "entries",
    )
)  # fmt: skip


def without_counters(
    found: Sequence[Member], listed: Mapping[str, str], life_name: str
) -> tuple[list[Member], list[str]]:
    """Return the processes without those of their figures that only count, and their columns.

    ``listed``: columns by resource that no verdict rests on. One counts when its name says so, or
    when it told restarts (``life_name``), and it never falls while a process lives.
    """
    counting = {
        resource: column
        for resource, column in listed.items()
        if (column == life_name or _is_named_so(column)) and _only_grows(found, resource)
    }
    kept = [
        replace(one, series=tuple(part for part in one.series if part.name not in counting))
        for one in found
    ]
    return kept, list(counting.values())


def work_of(columns: Sequence[str]) -> str:
    """Return the counter that is most likely one of work done, "" where none is by its name."""
    named = (name for name in columns if _WORK_WORDS & set(words_of(name)))
    return next(named, "")


def _is_named_so(column: str) -> bool:
    words = words_of(column)
    if is_counter(column) or "_".join(words) in MARK_WORDS:
        return True
    return bool(_DONE_WORDS & set(words)) and not (_NOW_WORDS & set(words) or is_memory(column))


def _only_grows(found: Sequence[Member], resource: str) -> bool:
    parts = [part.values for one in found for part in one.series if part.name == resource]
    steps = [np.diff(part) for part in parts]
    return any(part.any() for part in steps) and all((part >= 0).all() for part in steps)
