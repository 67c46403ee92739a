"""From the dump of a target's object graph to arrays, and the wait for it.

The walker (see ``leaklab.probe.graph``) is nobody's child here: it is followed through a process
descriptor, and its file is complete when it ends with a ``DONE`` chunk.
"""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from leaklab.analysis.graph_tables import dump_tables
from leaklab.errors import LeaklabError
from leaklab.record.graph_file import dump_outcome, read_dump
from leaklab.store.schema import TABLES

__all__ = ["GraphDumps", "dump_outcome", "read_dump", "wait_dump"]


def wait_dump(path: str | Path, pid: int, timeout_seconds: float) -> None:
    """Wait until the walker ``pid`` has ended; return if it has written a complete dump.

    Raises LeaklabError with the reason otherwise: it ran out of time or memory, was killed, or
    has not ended after ``timeout_seconds``.
    """
    if not _ended(pid, timeout_seconds):
        raise LeaklabError(
            f"the walk of the object graph has not ended: {timeout_seconds:g} s; "
            "allow more time or take it at an earlier mark"
        )
    done = dump_outcome(path)
    if done["status"] != "complete":
        raise LeaklabError(
            f"no object graph: {done['reason']}; allow more time or take it at an earlier mark"
        )


class GraphDumps:
    """The dumps of one pass: asked for at marks, analysed when the pass is over.

    ``folder`` takes the files (tens of bytes per object); they are removed as they are read.
    ``limit_seconds`` bounds one walk, and how long ``tables`` waits for one that still runs.
    """

    def __init__(self, pass_name: str, folder: str | Path, limit_seconds: float = 60.0) -> None:
        self._pass = pass_name
        self._folder = Path(folder)
        self._limit_seconds = limit_seconds
        self._taken: list[_Taken] = []

    def path(self) -> Path:
        """Return the file for the next dump."""
        return self._folder / f"graph-{len(self._taken)}.dump"

    def busy(self) -> bool:
        """Say whether a walk still runs; the next dump had better wait for a later mark."""
        return any(one.pid is not None and not _ended(one.pid, 0) for one in self._taken)

    def taken(
        self,
        process: int,
        mark: int | None,
        time_seconds: float,
        result: dict[str, Any] | None,
        problem: str | None = None,
    ) -> None:
        """Note what came of asking for a dump into ``path()``: what dump_by_fork returned, or why
        it failed."""
        number = sum(one.process == process for one in self._taken)
        result = result or {}
        self._taken.append(
            _Taken(
                self.path(),
                process,
                number,
                mark,
                time_seconds,
                result.get("pause_seconds"),
                result.get("pid"),
                problem,
            )
        )

    def tables(self) -> Iterator[tuple[str, dict[str, list[Any]]]]:
        """Analyse the dumps and yield (table, columns) to append; never raises for a bad dump."""
        for one in self._taken:
            tables: dict[str, pd.DataFrame] = {}
            row = dict.fromkeys(TABLES["graph_dumps"].names)
            row.update(
                {
                    "pass": self._pass,
                    "process": one.process,
                    "dump": one.number,
                    "mark": one.mark,
                    "time_seconds": one.time_seconds,
                    "pause_seconds": one.pause_seconds,
                    "state": "complete",
                }
            )
            try:
                if one.problem is not None or one.pid is None:
                    raise LeaklabError(one.problem or "no object graph")
                wait_dump(one.path, one.pid, self._limit_seconds + 5)
                dump = read_dump(one.path)
                tables = dump_tables(dump)
                row["walk_seconds"] = dump.walk_seconds
                row["object_count"] = len(dump.address)
                row["edge_count"] = len(dump.source)
                row["shallow_bytes"] = int(dump.size_bytes.sum())
            except (LeaklabError, OSError, MemoryError) as problem:
                row["state"], row["reason"] = "failed", str(problem) or type(problem).__name__
            finally:
                one.path.unlink(missing_ok=True)
            yield "graph_dumps", {name: [value] for name, value in row.items()}
            for name, table in tables.items():
                columns: dict[str, list[Any]] = {
                    "process": [one.process] * len(table),
                    "dump": [one.number] * len(table),
                }
                columns.update((str(column), table[column].tolist()) for column in table)
                yield name, columns
        self._taken.clear()


@dataclass(frozen=True)
class _Taken:
    path: Path
    process: int
    number: int
    mark: int | None
    time_seconds: float
    pause_seconds: float | None
    pid: int | None
    problem: str | None


def _ended(pid: int, timeout_seconds: float) -> bool:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        ready, _, _ = select.select([descriptor], [], [], timeout_seconds)
        return bool(ready)
    finally:
        os.close(descriptor)
