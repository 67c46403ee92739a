"""Stores which call made what is open, running or waiting, as the probe tells it.

The probe listens from its start where an earlier pass has seen a count rise, else once this one
does: hearing of each call costs the target time, and where nothing rises there is nothing to tell.
What the looks cost is kept to the same share of its time as snapshots. What it answers: see
:mod:`leaklab.probe.origin_looks`.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from leaklab.probe.pacing import Pacing
from leaklab.recorder.heap.stacks import SourcePaths, StackTable
from leaklab.recorder.processes.looks import IDLE_SNAPSHOT_SECONDS, snapshot_pacing
from leaklab.recorder.processes.tracked import Tracked
from leaklab.store import RunWriter

# Stacks of these calls lie beside those of allocations; this tells them apart.
ALLOCATOR = "origin"
# What the probe's wrappers in the target are compiled as.
OWN_FILE = "<leaklab>"
_MOST_PARTS = 50


class OriginLog:
    """The looks of one pass. ``working_folder`` and ``source_folder`` are the target's.

    ``cells``: see RecordOptions.
    """

    def __init__(
        self,
        pass_name: str,
        writer: RunWriter,
        stacks: StackTable,
        working_folder: str,
        source_folder: str | None,
        cells: Mapping[str, Sequence[str]],
        share: float,
    ) -> None:
        self._pass = pass_name
        self._writer = writer
        self._stacks = stacks
        self._folders = working_folder, source_folder
        self._cells = cells
        self._share = share
        self._told: dict[int, _Told] = {}

    def expects(self, tracked: Tracked) -> bool:
        """Say whether an earlier pass has seen a count of this role rise."""
        return any(
            entry.get("rising") and entry.get("role") == tracked.role
            for entry in self._writer.meta["processes"]
            if entry.get("pass") != self._pass
        )

    def begin(self, tracked: Tracked) -> None:
        """Forget what a process has told: it is another program, or begins anew."""
        self._told[tracked.process] = _Told(
            SourcePaths(
                self._folders[0],
                [tracked.library or ""],
                source_folder=self._folders[1],
                cells=self._cells,
            ),
            {Path(file).name: cell[0] for file, cell in self._cells.items()},
            snapshot_pacing(self._share, tracked.started_seconds),
            snapshot_pacing(self._share, tracked.started_seconds, IDLE_SNAPSHOT_SECONDS),
        )

    def look(
        self, tracked: Tracked, now: float, mark: int | None, expected_mark_count: int | None
    ) -> Generator[tuple[str, ...], dict[str, Any], None]:
        """Ask a process that talks to us, if a look is due, and store what it answers."""
        told = self._told.get(tracked.process)
        if told is None or not (self.expects(tracked) or tracked.counts.rising):
            return
        pacing, x = told.at_marks, float(mark or 0)
        if mark is None:
            pacing, x = told.by_time, now - tracked.started_seconds
        if not pacing.due(now, x, expected_mark_count if mark is not None else None):
            return
        rows: list[list[Any]] = []
        spent_seconds = 0.0
        for part in range(_MOST_PARTS):
            done = yield ("origins", "next" if part else "begin")
            spent_seconds += float(done.get("seconds") or 0.0)
            found = done.get("found")
            if not isinstance(found, dict):
                break
            rows += told.take(found, self._stacks)
            if not found.get("more"):
                break
        pacing.spent(spent_seconds, x, now)
        self._store(tracked, now, mark, rows)

    def _store(self, tracked: Tracked, now: float, mark: int | None, rows: list[list[Any]]) -> None:
        for table, new in self._stacks.new_rows().items():
            self._writer.append(table, new)
        count = len(rows)
        names = ("kind", "stack_id", "how", "count", "subject")
        self._writer.append(
            "origins",
            {
                "pass": [self._pass] * count,
                "process": [tracked.heap_number] * count,
                "time_seconds": [now] * count,
                "mark": [mark] * count,
                **{name: [row[place] for row in rows] for place, name in enumerate(names)},
            },
        )


class _Told:
    """What one process has told so far, for its numbers to be understood."""

    def __init__(
        self, paths: SourcePaths, cells: Mapping[str, str], at_marks: Pacing, by_time: Pacing
    ) -> None:
        self.at_marks, self.by_time = at_marks, by_time
        self._paths = paths
        self._cells = cells
        # None for frames of the probe's own wrappers, which are no part of the target.
        self._frame_ids: list[int | None] = []
        self._stack_ids: dict[int, int] = {}

    def take(self, found: dict[str, Any], stacks: StackTable) -> list[list[Any]]:
        """Return the rows of one answer with the run's numbers of stacks."""
        for function, file, line in found.get("frames", ()):
            own = file == OWN_FILE
            self._frame_ids.append(
                None
                if own
                else stacks.frame(str(function), str(file), int(line), paths=self._paths)
            )
        for number, frames in found.get("stacks", ()):
            known = (self._frame_ids[int(frame)] for frame in frames)
            frame_ids = tuple(number for number in known if number is not None)
            self._stack_ids[int(number)] = stacks.add_numbered(ALLOCATOR, frame_ids)
        return [
            [str(kind), self._stack_ids.get(stack), how, int(count), self._as_shown(str(subject))]
            for kind, stack, how, count, subject in found.get("rows", ())
        ]

    def _as_shown(self, subject: str) -> str:
        """Call a place in a cell, where a task waits, as the notebook's reader knows it."""
        before, waits, place = subject.rpartition("waits at ")
        file, _, line = place.rpartition(":")
        return (
            f"{before}{waits}{self._cells[file]}, line {line}"
            if waits and file in self._cells
            else subject
        )
