"""The parts of one pass: its processes, probes and target, and what is told of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from leaklab.recorder.command import Command
from leaklab.recorder.drive import Drive, drive_command
from leaklab.recorder.heap.stacks import StackTable
from leaklab.recorder.interruption import Interruption
from leaklab.recorder.intervals import interval_seconds
from leaklab.recorder.options import RecordOptions
from leaklab.recorder.probes.handlers import ProbeHandlers
from leaklab.recorder.probes.server import ProbeServer
from leaklab.recorder.processes.child import reap
from leaklab.recorder.processes.samples import Samples
from leaklab.recorder.processes.table import ProcessTable
from leaklab.recorder.processes.tracked import MAIN, Tracked
from leaklab.recorder.procfs import ProcessGoneError, working_folder
from leaklab.recorder.stdin import Stdin
from leaklab.recorder.target import RunningTarget, StartedTarget
from leaklab.store import RunWriter

DISCOVER_SECONDS = 0.1
Progress = Callable[[dict[str, Any]], None]


def warn(text: str, pass_name: str, writer: RunWriter, progress: Progress | None) -> None:
    """Tell the user at once, not only who reads the run."""
    if progress is not None:
        progress({"kind": "warning", "pass": pass_name, "run": writer.path, "text": text})


class Decision(Protocol):
    """What a look at the run in progress has decided: the verdict, and why."""

    @property
    def verdict(self) -> str:
        """Of the run as far as it has come."""

    @property
    def reason(self) -> str:
        """In one sentence."""


class Decider(Protocol):
    """Looks at the stored run now and then; the recorder itself knows no verdict."""

    def due(self, now: float, mark_count: int) -> bool:
        """Return whether the run has come to its next look."""

    def look(self, now: float, mark_count: int) -> Decision | None:
        """Judge what was stored so far; None while it is not decided."""


class PassState:
    """Holds the parts of one pass together, and notes what happens."""

    # How a pass begins.
    _pid = 0
    _stopped_by: str | None = None
    _interruption_count = 0
    _main_ended_seconds: float | None = None
    _work_began_seconds: float | None = None
    _window_end_seconds: float | None = None
    _why_window = ""
    _written_process_count = 0
    _written_rows: Sequence[dict[str, Any]] = ()
    _rows_due_seconds = 0.0
    _decider: Decider | None = None
    #: processes in sessions of their own that went on when the main one had ended
    _background: list[Tracked]

    def __init__(
        self,
        options: RecordOptions,
        command: Command,
        name: str,
        writer: RunWriter,
        socket_folder: Path,
        output_folder: Path,
        stacks: StackTable,
        stdin: Stdin,
        progress: Progress | None,
        interruption: Interruption,
        *,
        expected_mark_counts: Mapping[str, int],
        short_counts: Mapping[str, int],
        marks_expected: bool = False,
        listened_seconds: float | None = None,
        ticks: bool = False,
        decider: Callable[[str, float | None], Decider] | None = None,
    ) -> None:
        self._options = options
        self._command = command
        self._name = name
        self._writer = writer
        self._progress = progress
        self._begun = time.monotonic()
        self._before = list(writer.meta["processes"])
        first_process = max((row["process"] for row in self._before), default=-1) + 1
        self._table = ProcessTable(first_process, options.collect_share, options.snapshot_share)
        self._table.short_counts.update(short_counts)
        self._background = []
        self._samples = Samples(writer, name, options.watch_files, options.cwd)
        heap_pass = "explain" if options.pid and "explain" in options.passes else name
        self._handlers = ProbeHandlers(
            options,
            heap_pass,
            writer,
            self._samples,
            self._now,
            stacks,
            options.cwd or working_folder(options.pid),
            command.source,
            output_folder,
            socket_folder,
            expected_mark_counts,
            ticks,
            table=self._table,
        )
        channel = Path(options.channel) if options.channel else socket_folder / f"{name}.sock"
        self._server = ProbeServer(
            channel, self._table, self._handlers, self._samples, self._now, self._event
        )
        self._target = _target_of(options, command, name, output_folder, channel, stdin)
        self._interruption = interruption
        self._marks_expected = marks_expected
        self._due: dict[str, float] = {}
        self._wants_window = name == "graph" and options.traced_window_seconds is not None
        if decider is not None and (options.until_decided or self._wants_window):
            self._decider = decider(writer.path, options.duration_seconds)
        self._drive = self._drive_of(options, listened_seconds)

    def _drive_of(self, options: RecordOptions, listened_seconds: float | None) -> Drive | None:
        if options.drive is None:
            return None
        return Drive(
            drive_command(options.drive, options.cwd),
            options.drive_round_count,
            options.drive_idle_seconds,
            options.cwd,
            lambda kind, text: self._event(kind, text, None),
            options.drive_port,
            listened_seconds=listened_seconds,
        )

    def _now(self) -> float:
        return time.monotonic() - self._begun

    def _interval(self, now: float) -> float:
        return interval_seconds(now, self._options.interval_seconds)

    def _discover(self, now: float) -> float:
        """Look for new processes; returns the seconds until the next look."""
        if self._handlers.copying:
            return DISCOVER_SECONDS  # what is new now may be the copy
        begun = time.perf_counter()
        for tracked in self._table.discover(now):
            with contextlib.suppress(ProcessGoneError):
                self._samples.by_interval(tracked, now, main=False)
        cost_seconds = time.perf_counter() - begun
        return max(DISCOVER_SECONDS, cost_seconds * 100)

    def _follow_output(self, now: float) -> None:
        matches = self._target.follow()
        if not matches:
            return
        main = self._table.main
        main.mark_count += matches
        main.marked_by_both |= main.reported_mark_count > 0
        with contextlib.suppress(ProcessGoneError):
            self._samples.at_mark(
                main,
                now,
                mark=main.mark_count,
                quiescent=False,
                figures={},
                reset_peak=self._target.owned,
            )

    def _ended(self, tracked: Tracked) -> None:
        self._server.ended(tracked)
        if tracked.pid != self._pid:
            reap(tracked.pid)

    def _write_processes(self) -> None:
        """Keep run.json's list of processes up to date: after a kill it is all there is.

        At once where there are other processes, and else as what is known of them grows, for a
        hundredth of a processor: a thousand of them are a megabyte.
        """
        is_new = len(self._table.all) != self._written_process_count
        if not is_new and self._now() < self._rows_due_seconds:
            return
        begun = time.thread_time()
        rows = self._table.rows(self._name)
        if rows != self._written_rows:
            self._written_process_count, self._written_rows = len(self._table.all), rows
            self._writer.update(processes=[*self._before, *rows])
        self._rows_due_seconds = self._now() + 100 * (time.thread_time() - begun)

    def _event(self, kind: str, text: str, tracked: Tracked | None) -> None:
        self._writer.event(
            kind,
            text,
            time_seconds=self._now(),
            process=tracked.process if tracked else None,
            **{"pass": self._name},
        )
        self._tell("note", text)

    def _warn(self, text: str) -> None:
        warn(text, self._name, self._writer, self._progress)

    def _tell(self, kind: str, text: str | None = None) -> None:
        if self._progress is None:
            return
        expected = self._options.expected_mark_count  # of the main role
        self._progress(
            {
                "kind": kind,
                "pass": self._name,
                "run": self._writer.path,
                "mark": self._table.mark_count(None if expected is None else MAIN),
                "expected_mark_count": expected,
                "time_seconds": self._now(),
                "rss_bytes": sum(tracked.rss_bytes for tracked in self._table.alive()) or None,
                "live_bytes": self._handlers.live_bytes,
                "text": text or self._target.last_line,
            }
        )


def _target_of(
    options: RecordOptions,
    command: Command,
    name: str,
    output_folder: Path,
    channel: Path,
    stdin: Stdin,
) -> StartedTarget | RunningTarget:
    """Return what is recorded: a program that is to be started, or a process that runs."""
    if options.pid is not None:
        return RunningTarget(options, channel)
    return StartedTarget(options, command, name, output_folder, channel, stdin)
