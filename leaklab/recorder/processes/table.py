"""The processes of a pass: which there are, what role each plays, what run.json says of them."""

from __future__ import annotations

import os
import re
from collections import Counter, deque
from collections.abc import Container, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from leaklab.recorder.channel import Connection
from leaklab.recorder.heap.stream import HeapStream
from leaklab.recorder.heap.windows import Windows
from leaklab.recorder.processes.counts import RisingCounts
from leaklab.recorder.processes.looks import Looks
from leaklab.recorder.procfs import (
    ProcessFiles,
    ProcessGoneError,
    child_pids,
    command_line,
    environment,
    parent_pid,
    session_of,
)

# A fork bomb must not become the recorder's: beyond this many, processes are only counted.
PROCESS_LIMIT = 1000
MAIN = "main"
# What the main process was called that has started another one in the background, and ended.
LAUNCHER = "launcher"
FORK = "fork of "
# Whatever ends sooner can hardly leak: where many of a kind do, none of them is traced at once,
# and they are one row (see `ProcessTable.fold`).
SHORT_SECONDS = 1.0
FEW_SHORT = 3
LAST_ENDED_COUNT = 64
# What a process is called that was seen between its fork and its exec, and never again.
SHORT_LIVED = "short-lived"


@dataclass
class Tracked:
    """One process of the target, from the moment it was seen."""

    process: int
    pid: int
    parent: int | None
    role: str
    argv: list[str]
    files: ProcessFiles
    started_seconds: float
    looks: Looks
    counts: RisingCounts = field(default_factory=RisingCounts)
    connection: Connection | None = None
    #: where its stack began at the first hello: another place after an exec
    stack_start: int | None = None
    #: since when it is not heard although it runs on; None where it is
    line_lost_since_seconds: float | None = None
    steps: Generator[tuple[str, ...], dict[str, Any], None] | None = None
    heap: HeapStream | None = None
    traced: bool = False
    #: how many of its streams somebody else had connected to
    stolen_stream_count: int = 0
    #: whether the probe has a thread of its own there (see session.py)
    ticks: bool = False
    #: for how long it is to be traced, and until when: known once tracing has begun
    window_seconds: float | None = None
    window_end_seconds: float | None = None
    #: where it is traced for a share of the time: when
    windows: Windows | None = None
    python: str | None = None
    library: str | None = None
    executable: str | None = None
    memray: bool = False
    note: str | None = None
    exiting: bool = False
    mark_count: int = 0
    reported_mark_count: int = 0
    measured_mark_count: int = 0
    #: units of work under way at once, at the most; None where the process does not know
    units_at_once: int | None = None
    barrier_count: int = 0
    snapshot_count: int = 0
    #: whether the tracer no longer knows the lines that allocate
    lines_lost: bool = False
    last_snapshot_seconds: float = float("-inf")
    rss_bytes: int = 0
    ended_seconds: float | None = None
    exit_status: int | None = None
    #: when its main program was through, as it said; threads may have gone on with the work
    main_ended_seconds: float | None = None
    #: whether that was when a signal asked it to end
    asked_to_end: bool = False
    #: when the work was over for the recorder: it stopped the target, or the drive had ended
    stopped_seconds: float | None = None
    #: number of this process in the pass its heap belongs to; another one only where series and
    #: heap are recorded in one go: attached to, or traced for a while
    heap_process: int | None = None
    #: whether its tracing waits for its first mark, or for it to live for a second
    trace_later: bool = False
    #: the last readings of what an audit watches: only those that change are told
    watched: dict[str, float | None] = field(default_factory=dict)
    #: how many processes the row stands for: short ones of its role are folded into it
    process_count: int = 1
    #: samples not yet stored, of one too young to be known as more than short-lived
    young_samples: list[Any] | None = None

    @property
    def work_ended_seconds(self) -> float | None:
        """When the work was over that is to be judged; None for at the end of the process.

        A main program that was through before half of the time had only started the threads that
        did the work; how long they go on is not known before the end. Nor was a signal the end
        where it was not heeded for as long.
        """
        over = self.ended_seconds if self.stopped_seconds is None else self.stopped_seconds
        through = self.main_ended_seconds
        if over is None or through is None or through > over:
            return self.stopped_seconds
        if over - through <= through - self.started_seconds:
            return through
        return self.stopped_seconds

    @property
    def awaits_window(self) -> bool:
        """Whether it is to be traced for a while and has not begun: at its next mark or call."""
        wanted = self.window_seconds is not None and self.window_end_seconds is None
        return wanted and not self.traced and not self.note

    @property
    def was_traced(self) -> bool:
        """Whether its heap was seen: of a window, nothing is before it has come to its end."""
        return self.traced if self.windows is None else bool(self.windows.done)

    @property
    def line_lost_seconds(self) -> float:
        """How long it went on with its work, to its end, after it was heard last."""
        over = self.work_ended_seconds
        over = self.ended_seconds if over is None else over
        since = self.line_lost_since_seconds
        return 0.0 if over is None or since is None else max(over - since, 0.0)

    @property
    def own_socket_count(self) -> int:
        """Sockets in the process that are leaklab's: the channel and the heap stream."""
        return int(self.connection is not None) + int(self.traced)

    @property
    def heap_number(self) -> int:
        """The process number heap tables have."""
        return self.process if self.heap_process is None else self.heap_process

    @property
    def is_short(self) -> bool:
        """Whether it has ended within a second, without marks."""
        if self.role == MAIN or self.ended_seconds is None or self.mark_count or self.traced:
            return False
        return self.ended_seconds - self.started_seconds < SHORT_SECONDS

    def row(self, pass_name: str, process: int | None = None) -> dict[str, Any]:
        """Return the entry of run.json."""
        status = self.exit_status
        return {
            "process": self.process if process is None else process,
            "pass": pass_name,
            "pid": self.pid,
            "parent": self.parent,
            "role": self.role,
            "argv": self.argv,
            "python": self.python,
            "mark_count": self.mark_count,
            "units_at_once": self.units_at_once,
            "started_seconds": self.started_seconds,
            "ended_seconds": self.ended_seconds,
            "work_ended_seconds": self.work_ended_seconds,
            "line_lost_seconds": self.line_lost_seconds,
            "exit_status": status if status is not None and status >= 0 else None,
            "traced": self.was_traced,
            "sampling": self.windows and self.windows.row(),
            "looks": self.looks.row(),
            "rising": self.counts.rising,
            "note": self.note,
            "process_count": self.process_count,
        }


class ProcessTable:
    """Finds and numbers the processes of one pass. Numbers go on from ``first_process``."""

    def __init__(self, first_process: int, collect_share: float, snapshot_share: float) -> None:
        self.all: list[Tracked] = []
        self.overflow_count = 0
        self._next_process = first_process
        self._alive: dict[int, Tracked] = {}
        self._number: dict[int | None, Tracked] = {}
        self._collect_share = collect_share
        self._snapshot_share = snapshot_share
        #: by role, how many have ended within a second
        self.short_counts: Counter[str] = Counter()
        self._first_short: dict[str, Tracked] = {}
        #: process ids of the last that have ended; whoever did so before them is gone for sure
        self.last_ended: deque[int] = deque(maxlen=LAST_ENDED_COUNT)

    @property
    def main(self) -> Tracked:
        """The process that was started (after an exec, what it became)."""
        return next(p for p in reversed(self.all) if p.role == MAIN)

    def give_heap_number(self, tracked: Tracked) -> None:
        """Let the heap of a process belong to a pass of its own."""
        if tracked.heap_process is None:
            tracked.heap_process = self._next_process
            self._next_process += 1

    def rows(self, pass_name: str) -> list[dict[str, Any]]:
        """Return the entries of run.json, in the order of the process numbers."""
        rows = [tracked.row(pass_name) for tracked in self.all]
        rows += [
            tracked.row("explain", tracked.heap_process)
            for tracked in self.all
            if tracked.heap_process is not None
        ]
        return sorted(rows, key=lambda row: row["process"])

    def kept(self) -> dict[str, int]:
        """Say how much of what happened was kept: ever less of it, the longer a run is."""
        return {
            "mark_count": sum(tracked.mark_count for tracked in self.all),
            "measured_mark_count": sum(tracked.measured_mark_count for tracked in self.all),
            "snapshot_count": sum(tracked.snapshot_count for tracked in self.all),
        }

    def alive(self) -> list[Tracked]:
        """Return the processes not known to have ended."""
        return list(self._alive.values())

    def work_over(self, now: float) -> None:
        """Note that what the processes do from now on is not their work; the first time holds."""
        for tracked in self._alive.values():
            if tracked.stopped_seconds is None:
                tracked.stopped_seconds = now

    def hand_over(self, background: Sequence[Tracked], now: float) -> None:
        """Let what went on in the background be the main process, and who started it its launcher.

        It is as soon as it has told more marks, or has gone on for as long as the main process had
        lived: until then that may have done the work, and left a helper behind.
        """
        main = self.main
        alive = {tracked.process for tracked in background if tracked.ended_seconds is None}
        heirs = [one for one in background if one is not main and one.parent not in alive]
        if main.ended_seconds is None or not heirs:
            return
        heir = max(heirs, key=lambda one: (one.mark_count, one.ended_seconds or now))
        went_on_seconds = (heir.ended_seconds or now) - main.ended_seconds
        outlived = went_on_seconds > main.ended_seconds - main.started_seconds
        if heir.mark_count <= main.mark_count and (main.mark_count or not outlived):
            return
        for other in self.all:
            # A daemon is often forked twice: by a process that ends at once as well.
            between = other.role == heir.role and other.started_seconds < heir.started_seconds
            if other.role == MAIN or (between and other.ended_seconds and not other.mark_count):
                other.role = LAUNCHER
        heir.role = MAIN

    def get(self, pid: int) -> Tracked | None:
        """Return the process that has ``pid`` now."""
        return self._alive.get(pid)

    def add(self, pid: int, now: float, parent: Tracked | None, role: str | None) -> Tracked | None:
        """Start to follow ``pid``; None when it is gone already or there are too many."""
        if len(self.all) >= PROCESS_LIMIT:
            self.overflow_count += 1
            return None
        try:
            # The main process has its entry even if it has ended by now.
            files = ProcessFiles(pid, even_if_gone=role == MAIN)
        except ProcessGoneError:
            return None
        argv = command_line(pid)
        if not argv and role != MAIN:
            # On its way out: its memory is gone already. (The main process may still be in the
            # middle of its exec, when its arguments are not there yet.)
            files.close()
            return None
        tracked = Tracked(
            process=self._next_process,
            pid=pid,
            parent=parent.process if parent else None,
            role=role or _role(argv, parent),
            argv=argv,
            files=files,
            started_seconds=now,
            looks=Looks(self._collect_share, self._snapshot_share, started=now),
        )
        self._next_process += 1
        self.all.append(tracked)
        self._number[tracked.process] = tracked
        self._alive[pid] = tracked
        return tracked

    def ended(self, tracked: Tracked, now: float) -> None:
        """Note that a process has ended."""
        tracked.ended_seconds = now
        self.last_ended.append(tracked.pid)
        tracked.files.close()
        if tracked.connection is not None:
            tracked.connection.close()
            tracked.connection = None
        if self._alive.get(tracked.pid) is tracked:
            del self._alive[tracked.pid]

    def many_short(self, role: str) -> bool:
        """Return whether a new process of ``role`` is likely to end within a second."""
        return role != MAIN and self.short_counts[role] >= FEW_SHORT

    def fold(self, tracked: Tracked) -> Tracked | None:
        """Return the entry that stands for one short process of many; None where it stands alone.

        A script that calls a command some hundred times is told by one row for the command.
        """
        if tracked.role != MAIN and tracked.ended_seconds is not None and not tracked.mark_count:
            short = tracked.ended_seconds - tracked.started_seconds < SHORT_SECONDS
            self.short_counts[tracked.role] += short
        if not tracked.is_short or tracked.heap_process is not None or tracked not in self.all:
            return None
        first = self._first_short.setdefault(tracked.role, tracked)
        if self.short_counts[tracked.role] <= FEW_SHORT:
            return None
        if first is tracked:
            return first
        first.process_count += tracked.process_count
        first.ended_seconds = tracked.ended_seconds
        self.all.remove(tracked)
        self._number[tracked.process] = first
        for other in self.all:
            if other.parent == tracked.process:
                other.parent = first.process
        return first

    def discover(self, now: float) -> Iterator[Tracked]:
        """Follow processes started by known ones that were not seen yet; yields them."""
        todo = self.alive()
        while todo:
            parent = todo.pop()
            if parent.role == SHORT_LIVED or (parent.role == MAIN and parent.python is None):
                # A launcher becomes another program, which may never say so itself.
                parent.argv = command_line(parent.pid) or parent.argv
            if parent.role == SHORT_LIVED:
                parent.role = _role(parent.argv, self._number.get(parent.parent))
            for pid in parent.files.child_pids() or ():
                # The recorder itself may be a child of the process it was asked to watch.
                if pid not in self._alive and pid != os.getpid():
                    tracked = self.add(pid, now, parent, None)
                    if tracked is not None:
                        todo.append(tracked)
                        yield tracked

    def adopt_orphans(
        self, now: float, main_pid: int, channel_path: str, walkers: Container[int]
    ) -> None:
        """Follow children of this very process that the target has left to it, but no walkers.

        They are told from other children by the main process's session or by the channel in
        their environment.
        """
        needle = channel_path.encode()
        for pid in child_pids(os.getpid()) or ():
            if pid in self._alive or pid == main_pid or pid in walkers:
                continue
            if session_of(pid) == main_pid or needle in environment(pid):
                # Who has the command line of a known process is a fork of it, or one more of its
                # kind; of the main process there is no other.
                argv = command_line(pid)
                former = next((known for known in reversed(self.all) if known.argv == argv), None)
                role = None
                if former is not None and former.role != SHORT_LIVED:
                    role = _role(argv, former) if former.role == MAIN else former.role
                self.add(pid, now, None, role)

    def parent_of(self, pid: int) -> Tracked | None:
        """Return the followed parent of ``pid``."""
        parent = parent_pid(pid)
        return None if parent is None else self._alive.get(parent)


def fork_role(parent: Tracked | None) -> str:
    """Return the role of a process that was forked from ``parent`` and runs the same program.

    However often it was forked: shells fork for each part of a line, and daemons twice.
    """
    role = parent.role if parent else MAIN
    return role if role.startswith(FORK) else f"{FORK}{role}"


def command_role(argv: Sequence[str]) -> str:
    """Return what a command line is called: the same for all workers of one kind."""
    if not argv:
        return "unknown"
    text = " ".join(argv)
    if match := re.search(r"from multiprocessing\.(\w+) import", text):
        return f"multiprocessing {match[1]}"
    words = [PurePath(argv[0]).name]
    if words[0].startswith("python"):
        words = ["python"]
        rest = [part for part in argv[1:] if not part.startswith("-") or part in ("-m", "-c")]
        if rest[:1] == ["-c"]:
            words.append("-c")
        elif rest:
            words += ["-m", *rest[1:3]] if rest[0] == "-m" else [PurePath(rest[0]).name]
    return re.sub(r"\d+", "N", " ".join(words))[:80]


def _role(argv: Sequence[str], parent: Tracked | None) -> str:
    if parent is not None and list(argv) == parent.argv:
        # Forks of a process with a probe say so themselves.
        return fork_role(parent) if parent.python is None else SHORT_LIVED
    return command_role(argv)
