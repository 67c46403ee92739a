"""The processes of a pass: which there are, and what role each plays."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Container, Iterator, Sequence
from typing import Any

from leaklab.recorder.processes.looks import Looks
from leaklab.recorder.processes.roles import LAUNCHER, role_of
from leaklab.recorder.processes.tracked import MAIN, SHORT_LIVED, SHORT_SECONDS, Tracked
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
FEW_SHORT = 3
LAST_ENDED_COUNT = 64


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

    def mark_count(self, role: str | None = None) -> int:
        """Units of work that the processes have done together, of all roles or of one."""
        return sum(tracked.mark_count for tracked in self.all if role in (None, tracked.role))

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
            "mark_count": self.mark_count(),
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
            role=role or role_of(argv, parent),
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
            if parent.role == MAIN and parent.python is None:
                # A launcher becomes another program, which may never say so itself.
                parent.argv = command_line(parent.pid) or parent.argv
            elif parent.may_become_another(now):
                self._look_again(parent)
            for pid in parent.files.child_pids() or ():
                # The recorder itself may be a child of the process it was asked to watch.
                if pid not in self._alive and pid != os.getpid():
                    tracked = self.add(pid, now, parent, None)
                    if tracked is not None:
                        todo.append(tracked)
                        yield tracked

    def _look_again(self, tracked: Tracked) -> None:
        """Call a child by what it runs, once it has left its parent's program by its exec."""
        argv = command_line(tracked.pid) or tracked.argv
        if argv != tracked.argv:
            tracked.argv = argv
            tracked.forget_fork()
        elif tracked.role != SHORT_LIVED:
            return
        tracked.role = role_of(argv, self._number.get(tracked.parent))

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
                    role = role_of(argv, former) if former.role == MAIN else former.role
                self.add(pid, now, None, role)

    def parent_of(self, pid: int) -> Tracked | None:
        """Return the followed parent of ``pid``."""
        parent = parent_pid(pid)
        return None if parent is None else self._alive.get(parent)
