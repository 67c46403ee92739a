"""From the dump of a target's object graph to arrays, and the wait for it.

The walker (see ``leaklab.probe.graph``) is nobody's child here: it is followed through a process
descriptor, and its file is complete when it ends with a ``DONE`` chunk.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaklab.errors import LeaklabError
from leaklab.recorder.options import RecordOptions
from leaklab.store.schema import TABLES

if TYPE_CHECKING:
    import pandas as pd

_CHUNK = struct.Struct("=4sQ")
_FIRST_MARK = 3
_FIRST_SECONDS = 1.0
# The next dump is taken when the marks (without any, the seconds) have grown by this factor.
_SPACING = 1.8
_LAST_SPACING = 1.05  # of the one at the end of the work
# What the dumps of one process may cost it in processor time: this much at first, later this share
# of its time.
_FREE_SECONDS = 0.5
_PAUSE_SHARE = 0.01
# A walker ends itself two seconds after its limit; a loaded machine may let it wait before that.
_GRACE_SECONDS = 10.0
_KILLED_SECONDS = 5.0
# The longest that a recorder waits without a word: for a walk that does not end.
LONGEST_WAIT_SECONDS = RecordOptions.graph_limit_seconds + _GRACE_SECONDS
# How many copies may be walked at a time: as many as fit, within bounds.
_COPIES_BYTES = 1 << 30
_LEAST_WALKERS, _MOST_WALKERS = 2, 8
# Dumps that are kept, by their place in the work so far; and those that are analysed in the end.
_KEPT_AT = (0.2, 0.3, 0.45, 0.65, 1.0)
_ANALYSED_AT = (0.3, 0.65, 1.0)
# Where it is known how many marks will come. Not at the very last: a walk beside work costs less.
_PLANNED_AT = (0.3, 0.6, 0.9)


def wait_dump(path: str | Path, pid: int | None, timeout_seconds: float) -> None:
    """Wait until the walker ``pid`` has ended; return if it has written a complete dump.

    ``pid`` is None for a dump that the target has written itself.

    Raises LeaklabError with the reason otherwise: it ran out of time or memory, was killed, or
    has not ended after ``timeout_seconds``.
    """
    if pid is not None and not _ended(pid, timeout_seconds):
        raise LeaklabError(
            f"the walk of the object graph has not ended: {timeout_seconds:g} s; "
            "allow more time or take it at an earlier mark"
        )
    done = dump_outcome(path)
    if done["status"] != "complete":
        raise LeaklabError(
            f"no object graph: {done['reason']}; allow more time or take it at an earlier mark"
        )


def dump_outcome(path: str | Path) -> dict[str, Any]:
    """Return what the end of a dump says: ``status``, ``reason`` and ``seconds`` of the walk."""
    try:
        with Path(path).open("rb") as file:
            file.seek(0, os.SEEK_END)
            length = file.tell()
            file.seek(max(0, length - 4096))
            tail = file.read()
    except FileNotFoundError:
        tail = b""
    start = tail.rfind(b"DONE")
    if start < 0 or len(tail) < start + _CHUNK.size:
        return {"status": "failed", "reason": "the walker was killed", "seconds": None}
    _, size = _CHUNK.unpack_from(tail, start)
    body = tail[start + _CHUNK.size : start + _CHUNK.size + size]
    if len(body) != size:
        return {"status": "failed", "reason": "the walker was killed", "seconds": None}
    outcome: dict[str, Any] = json.loads(body)
    return outcome


class GraphDumps:
    """The dumps of one pass: asked for at marks, analysed when the pass is over.

    ``folder`` takes the files (tens of bytes per object); they are removed as they are read.
    ``limit_seconds`` bounds one walk. Which dumps a growth needs is known only at the end (one
    after warm-up, one between, the last), unless an earlier pass tells; so there are more of them
    at first, ever further apart, and most are dropped unread.
    """

    def __init__(self, pass_name: str, folder: str | Path, limit_seconds: float) -> None:
        self.limit_seconds = limit_seconds
        self._near_limit: set[int] = set()
        self._pass = pass_name
        self._production = pass_name == "graph"
        self._folder = Path(folder)
        self._dumps: list[_Dump] = []
        self._count = 0
        self._killed: list[_Dump] = []
        self._spent: dict[int, float] = {}
        self._drawn: set[int] = set()

    def due(
        self,
        process: int,
        mark: int | None,
        now: float,
        rss_bytes: int,
        expected_mark_count: int | None = None,
        *,
        at_end: bool = False,
        near_limit: bool = False,
    ) -> bool:
        """Say whether a process should be dumped ``now`` seconds into the pass.

        At this ``mark``, where there are any; an earlier pass may tell how many are to be expected.
        ``at_end``: there will be no other moment, and growth shows between an earlier one and this:
        whatever it costs, once, where the last one at a mark has become older than they should.
        A copy that is walked grows to about the size of the process, ``rss_bytes``.
        """
        if near_limit and process not in self._near_limit:
            # It may be killed at any moment: once, whatever it costs.
            self._near_limit.add(process)
            return True
        mine = [one for one in self._dumps if one.process == process]
        planned: list[float] = []
        if mark is not None:
            last = max((one.mark for one in mine if one.mark is not None), default=0)
            if expected_mark_count:
                planned = [share * expected_mark_count for share in _PLANNED_AT]
            next_mark = next((one for one in planned if one > last), _SPACING * last + 1)
            too_early = mark < _FIRST_MARK or mark < next_mark
        else:
            last_seconds = max((one.time_seconds for one in mine), default=0.0)
            usual = _SPACING * last_seconds + _FIRST_SECONDS
            last_chance = max(_LAST_SPACING * last_seconds, _FIRST_SECONDS)
            too_early = now < (last_chance if at_end else usual)
        if too_early:
            return False
        if at_end and mark is not None:
            return True
        if self._spent.get(process, 0.0) > _FREE_SECONDS + _PAUSE_SHARE * now:
            return False
        # In production one walk at a time; but the few that are planned make a short run readable.
        if self._production and not planned and not at_end:
            return not any(one.walking() for one in self._dumps)
        most = min(max(_COPIES_BYTES // max(rss_bytes, 1), _LEAST_WALKERS), _MOST_WALKERS)
        return sum(one.walking() for one in self._dumps) < most

    def path(self) -> Path:
        """Return a file for the next dump: another one each time, for two may be under way."""
        self._count += 1
        return self._folder / f"graph-{self._pass}-{self._count}.dump"

    def taken(
        self, process: int, mark: int | None, now: float, path: Path, done: Mapping[str, Any]
    ) -> None:
        """Note the probe's answer to the request for a dump into ``path``."""
        result = done.get("result") or {}
        pause_seconds = result.get("pause_seconds")
        dump = _Dump(
            path,
            process,
            mark,
            now,
            pause_seconds,
            result.get("pid"),
            done.get("problem"),
        )
        # A busy machine makes a pause long, and no look dear: two at least show growth.
        cost_seconds = result.get("cost_seconds", pause_seconds) or 0.0
        self._spent[process] = self._spent.get(process, 0.0) + cost_seconds
        if mark is not None:
            # Growth is told by marks then, at which those from before the first do not stand.
            for one in [one for one in self._dumps if one.process == process and one.mark is None]:
                self._dumps.remove(one)
                self._drop(one)
        self._dumps.append(dump)
        self._drop_needless(process, _KEPT_AT)

    def count(self, process: int) -> int:
        """How many dumps of a process there are."""
        return sum(one.process == process for one in self._dumps)

    @property
    def walkers(self) -> set[int]:
        """Process ids of the walkers: no processes of the target."""
        return {one.pid for one in (*self._dumps, *self._killed) if one.pid is not None}

    def _drop_needless(self, process: int, places: tuple[float, ...]) -> None:
        mine = [one for one in self._dumps if one.process == process and one.problem is None]
        if not mine:
            return  # the first could not be taken
        by_mark = all(one.mark is not None for one in mine)
        at = {one: float((one.mark if by_mark else None) or one.time_seconds) for one in mine}
        last = max(at.values(), default=0.0)
        wanted = {min(mine, key=lambda one: abs(at[one] - share * last)) for share in places}
        for one in mine:
            if one not in wanted:
                self._dumps.remove(one)
                self._drop(one)

    def _drop(self, one: _Dump) -> None:
        """Remove a dump nobody will read, and end its walk; whoever waits here holds a target."""
        one.path.unlink(missing_ok=True)
        if one.walking() and one.pid is not None:
            # The walker of a process that only was attached to is no child of ours to wait for us.
            with contextlib.suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGKILL)
            self._killed.append(one)

    def were_taken(self) -> bool:
        """Whether there are dumps to read; what that needs is imported, for a second."""
        if self._dumps:
            import leaklab.object_graph.tables  # noqa: F401 - an interrupt amid it would break it
        return bool(self._dumps)

    def to_read(self) -> list[_Dump]:
        """Drop the dumps nobody needs and return the others, the last of each process first.

        It is the one whose dominator tree is drawn, and stands for the end of the work: where it
        did not come to its end, the one before does.
        """
        for process in {one.process for one in self._dumps}:
            mine = [one for one in self._dumps if one.process == process]
            for one in reversed(mine):
                if one.settled(self.limit_seconds + _GRACE_SECONDS):
                    break
            self._drop_needless(process, _ANALYSED_AT)
        numbers = Counter[int]()
        for one in self._dumps:
            one.number = numbers[one.process]
            numbers[one.process] += 1
        return self._dumps[::-1]

    def read(self, one: _Dump) -> list[tuple[str, dict[str, list[Any]]]]:
        """Analyse a dump: (table, columns) to append; never raises for a bad one."""
        row, tables = one.analysed(self.limit_seconds, one.process not in self._drawn)
        if tables:
            self._drawn.add(one.process)
        row.update({"pass": self._pass, "dump": one.number})
        found = [("graph_dumps", {name: [row.get(name)] for name in TABLES["graph_dumps"].names})]
        for name, table in tables.items():
            columns: dict[str, list[Any]] = {
                "process": [one.process] * len(table),
                "dump": [one.number] * len(table),
            }
            columns.update((str(column), table[column].tolist()) for column in table)
            found.append((name, columns))
        return found

    def close(self) -> None:
        """Forget what was not analysed, and its files."""
        for one in self._dumps:
            self._drop(one)
        self._dumps.clear()
        for one in self._killed:
            one.walking(_KILLED_SECONDS)
            one.path.unlink(missing_ok=True)
        self._killed.clear()


@dataclass(eq=False)
class _Dump:
    path: Path
    process: int
    mark: int | None
    time_seconds: float
    pause_seconds: float | None
    pid: int | None
    problem: str | None
    number: int = 0
    _over: bool = False

    def walking(self, timeout_seconds: float = 0.0) -> bool:
        """Say whether the walker still runs after so long; one that has ended is not asked for
        again, as its number may have become another process's."""
        self._over = self._over or self.pid is None or _ended(self.pid, timeout_seconds)
        return not self._over

    def settled(self, timeout_seconds: float) -> bool:
        """Wait for the walk to end, and say whether it is complete; if not, why is noted."""
        if self.problem is None:
            try:
                wait_dump(self.path, self.pid if self.walking() else None, timeout_seconds)
            except (LeaklabError, OSError) as problem:
                self.problem = str(problem)
        return self.problem is None

    def analysed(
        self, limit_seconds: float, with_dominators: bool
    ) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
        row: dict[str, Any] = {
            "process": self.process,
            "mark": self.mark,
            "time_seconds": self.time_seconds,
            "pause_seconds": self.pause_seconds,
            "state": "complete",
        }
        try:
            if not self.settled(limit_seconds + _GRACE_SECONDS):
                raise LeaklabError(self.problem)
            from leaklab.object_graph.file import read_dump
            from leaklab.object_graph.tables import dump_tables

            dump = read_dump(self.path)
            tables = dump_tables(dump, with_dominators=with_dominators)
        except (LeaklabError, OSError, ValueError, MemoryError) as problem:
            reason = str(problem) or type(problem).__name__
            return {**row, "state": "failed", "reason": reason}, {}
        row["walk_seconds"] = dump.walk_seconds
        row["object_count"] = len(dump.address)
        row["edge_count"] = len(dump.source)
        row["shallow_bytes"] = int(dump.size_bytes.sum())
        return row, tables


def _ended(pid: int, timeout_seconds: float) -> bool:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        ready, _, _ = select.select([descriptor], [], [], timeout_seconds)
    finally:
        os.close(descriptor)
    if ready:
        # The recorder inherits the orphans of its targets.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    return bool(ready)
