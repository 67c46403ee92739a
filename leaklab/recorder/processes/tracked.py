"""One process of the target: what is known of it, and what run.json says of it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from leaklab.analysis.imports_end import imports_end
from leaklab.recorder.channel import Connection
from leaklab.recorder.heap.stream import HeapStream
from leaklab.recorder.heap.windows import Windows
from leaklab.recorder.processes.counts import RisingCounts
from leaklab.recorder.processes.looks import Looks
from leaklab.recorder.procfs import ProcessFiles

MAIN = "main"
FORK = "fork of "
# What a process is called that was seen between its fork and its exec, and never again.
SHORT_LIVED = "short-lived"
# Whatever ends sooner can hardly leak: where many of a kind do, none of them is traced at once,
# and they are one row (see `ProcessTable.fold`).
SHORT_SECONDS = 1.0


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
    #: what it may have, as `limits.limits_of` tells; empty where that was not told
    limits: dict[str, Any] = field(default_factory=dict)
    mark_count: int = 0
    reported_mark_count: int = 0
    #: whether it has said that its work begins with what ends in its first mark
    by_marks: bool = False
    measured_mark_count: int = 0
    #: units of work under way at once, at the most; None where the process does not know
    units_at_once: int | None = None
    #: whether its units were ended by mark() in the target and by what ``mark_on`` names
    marked_by_both: bool = False
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
    #: when it looked for modules, as it said
    imports_seconds: list[float] = field(default_factory=list)
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
    def work_begun_seconds(self) -> float | None:
        """When the work began that is to be judged; None where no imports stand out before it."""
        over = self.work_ended_seconds
        over = self.ended_seconds if over is None else over
        if over is None:
            return None
        return imports_end(self.imports_seconds, self.started_seconds, over)

    def looked_seconds(self, now: float) -> float:
        """Return for how long it has been looked at by time, in the steps of its looks."""
        return now - self.started_seconds - self.looks.idle_since_seconds

    @property
    def awaits_window(self) -> bool:
        """Whether it is to be traced for a while and has not begun: at its next mark or call."""
        wanted = self.window_seconds is not None and self.window_end_seconds is None
        return wanted and not self.traced and not self.note

    @property
    def is_looked_at_by_time(self) -> bool:
        """Whether it is looked at now and then: until a mark comes, unless one is sure to."""
        return not (self.reported_mark_count or self.by_marks)

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

    def may_become_another(self, now: float) -> bool:
        """Whether it may be between its fork and its exec: nobody hears it, and it is young."""
        if self.role == SHORT_LIVED:
            return True
        young = now - self.started_seconds < SHORT_SECONDS
        return young and self.connection is None and self.role.startswith(FORK)

    def forget_fork(self) -> None:
        """Forget what was seen of it before its exec: that was its parent's memory and files."""
        self.young_samples = None
        self.imports_seconds = []
        self.counts = RisingCounts()

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
            "marked_by_both": self.marked_by_both,
            "started_seconds": self.started_seconds,
            "ended_seconds": self.ended_seconds,
            "work_begun_seconds": self.work_begun_seconds,
            "work_ended_seconds": self.work_ended_seconds,
            "line_lost_seconds": self.line_lost_seconds,
            "exit_status": status if status is not None and status >= 0 else None,
            "traced": self.was_traced,
            "sampling": self.windows and self.windows.row(),
            "looks": self.looks.row(),
            "rising": self.counts.rising,
            **self.limits,
            "note": self.note,
            "process_count": self.process_count,
        }
