"""One pass: start the target, follow its processes, answer their probes, end it in time."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaklab.record.channel import Connection, Listener
from leaklab.record.child import Child, Subreaper, reap
from leaklab.record.command import Command
from leaklab.record.conversation import GO, Conversation
from leaklab.record.drive import Drive, drive_command
from leaklab.record.heap import StackTable
from leaklab.record.options import RecordOptions
from leaklab.record.output import OutputFile
from leaklab.record.processes import MAIN, ProcessTable, Tracked, fork_role
from leaklab.record.procfs import ProcessGoneError, command_line, session_of
from leaklab.record.samples import Samples
from leaklab.store import RunWriter

BOOTSTRAP = Path(__file__).parent.parent / "probe" / "bootstrap"
CHANNEL_VARIABLE = "LEAKLAB_CHANNEL"
FLUSH_SECONDS = 1.0
PROGRESS_SECONDS = 0.25
OUTPUT_SECONDS = 0.05
DISCOVER_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 0.5
# The adaptive interval: this at first, later such that the run has this many samples per e-fold.
FIRST_INTERVAL_SECONDS = 0.02
SAMPLES_PER_FOLD = 250
# A fixed interval holds for this many samples; then the spacing grows with the run.
FIXED_INTERVAL_COUNT = 20_000
# What the main process leaves behind is given this long to end by itself.
LEFT_BEHIND_SECONDS = 2.0
KILLED_SECONDS = 2.0


@dataclass(frozen=True)
class PassResult:
    """What run.json says of a pass, and what the next pass needs to know."""

    row: dict[str, Any]
    processes: list[dict[str, Any]]
    memray: bool
    executable: str | None


class PassRecorder:
    """Records one pass. Everything happens in one thread, driven by a selector."""

    def __init__(
        self,
        options: RecordOptions,
        command: Command,
        name: str,
        writer: RunWriter,
        socket_folder: Path,
        output_folder: Path,
        stacks: StackTable,
        progress: Callable[[dict[str, Any]], None] | None,
    ) -> None:
        self._options = options
        self._command = command
        self._name = name
        self._writer = writer
        self._progress = progress
        self._listener = Listener(socket_folder / f"{name}.sock")
        self._selector = selectors.DefaultSelector()
        self._processes_before = list(writer.meta["processes"])
        self._written_process_count = 0
        first_process = len(self._processes_before)
        self._table = ProcessTable(first_process, options.collect_share, options.snapshot_share)
        self._samples = Samples(writer, name, options.watch_files, options.cwd)
        self._begun = time.monotonic()
        self._conversation = Conversation(
            options,
            name,
            writer,
            self._samples,
            self._now,
            stacks,
            options.cwd or str(Path.cwd()),
            command.source if command.kind != "program" else None,
            output_folder,
            socket_folder,
        )
        echo = _echo if options.echo else None
        patterns = options.line_patterns
        self._outputs = [
            OutputFile(output_folder / f"{name}.{stream}.txt", patterns, echo)
            for stream in ("stdout", "stderr")
        ]
        self._stopped_by: str | None = None
        self._main_ended_seconds: float | None = None
        self._line_mark_count = 0
        self._executable: str | None = None
        self._due: dict[str, float] = {}
        self._drive: Drive | None = None
        if options.drive is not None:
            self._drive = Drive(
                drive_command(options.drive, options.cwd),
                options.drive_round_count,
                options.drive_idle_seconds,
                options.cwd,
                lambda kind, text: self._event(kind, text, None),
            )

    def _now(self) -> float:
        return time.monotonic() - self._begun

    def run(self) -> PassResult:
        """Record until the target has ended; raises LeaklabError when it cannot be started."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._close)
            stack.enter_context(Subreaper())
            stack.enter_context(_terminate_as_interrupt())
            self._selector.register(self._listener.socket, selectors.EVENT_READ, "listener")
            started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            self._begun = time.monotonic()
            self._child = Child(
                self._command.argv,
                env=self._environment(),
                cwd=self._options.cwd,
                stdin=None if self._options.stdin == "inherit" else subprocess.DEVNULL,
                stdout=self._outputs[0].descriptor,
                stderr=self._outputs[1].descriptor,
            )
            self._table.add(self._child.pid, 0.0, None, MAIN)
            # At once it would be the program loader that is measured.
            self._due["sample"] = FIRST_INTERVAL_SECONDS
            descriptor = os.pidfd_open(self._child.pid)
            stack.callback(os.close, descriptor)
            self._selector.register(descriptor, selectors.EVENT_READ, "ended")
            self._tell("started")
            while not self._finished():
                try:
                    self._step()
                except KeyboardInterrupt:
                    if self._stopped_by == "interrupt":
                        # Asked twice: no more patience.
                        self._child.end_now(process.pid for process in self._table.alive())
                    self._stop("interrupt", "interrupted")
            duration_seconds = self._now()
            self._end_leftovers()
            self._store_graphs()
            return self._result(started, duration_seconds)

    def _environment(self) -> dict[str, str]:
        env = {**os.environ, **(self._options.env or {})}
        paths = [str(BOOTSTRAP), env.get("PYTHONPATH", "")]
        env["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        env[CHANNEL_VARIABLE] = str(self._listener.path)
        return env

    def _step(self) -> None:
        for key, _ in self._selector.select(self._pause(self._now())):
            if key.data == "listener":
                self._accept()
            elif key.data == "ended":
                # Once is enough to wake us: _finished asks for the exit status itself.
                self._selector.unregister(key.fileobj)
            else:
                self._hear(key.data)
        now = self._now()
        if self._is_due("sample", now):
            self._sample_all(now)
            self._due["sample"] = now + self._interval(now)
        if self._is_due("discover", now):
            self._discover(now)
        if self._is_due("output", now):
            self._follow_output(now)
            self._due["output"] = now + OUTPUT_SECONDS
        if self._is_due("flush", now):
            self._write_processes()
            self._samples.flush()
            self._writer.flush()
            self._due["flush"] = now + FLUSH_SECONDS
        if self._is_due("progress", now):
            self._tell("figures")
            self._due["progress"] = now + PROGRESS_SECONDS
        self._check_limits(now)
        if self._drive is not None and not self._child.stopping:
            pids = [tracked.pid for tracked in self._table.alive()]
            if self._drive.step(now, pids):
                self._stop("drive", "stopped after the drive")

    def _store_graphs(self) -> None:
        if self._conversation.graphs is None:
            return
        for table, columns in self._conversation.graphs.tables():
            if table == "graph_dumps":
                self._tell("note", "reading an object graph")
            self._writer.append(table, columns)

    def _write_processes(self) -> None:
        """Keep run.json's list of processes up to date: after a kill it is all there is."""
        if len(self._table.all) != self._written_process_count:
            self._written_process_count = len(self._table.all)
            self._writer.update(processes=[*self._processes_before, *self._process_rows()])

    def _process_rows(self) -> list[dict[str, Any]]:
        return [tracked.row(self._name) for tracked in self._table.all]

    def _pause(self, now: float) -> float:
        """Return how long to wait for messages: waking up is the dearest part of a sample."""
        next_sample = self._due.get("sample", 0.0)
        if next_sample - now <= OUTPUT_SECONDS:
            # What else falls due by then is done on the same occasion.
            return max(0.0, next_sample - now)
        return max(0.0, min(min(self._due.values()) - now, LONGEST_PAUSE_SECONDS))

    def _is_due(self, what: str, now: float) -> bool:
        return now >= self._due.get(what, 0.0)

    def _interval(self, now: float) -> float:
        fixed = self._options.interval_seconds
        if fixed is None:
            return max(FIRST_INTERVAL_SECONDS, now / SAMPLES_PER_FOLD)
        return max(fixed, now / FIXED_INTERVAL_COUNT)

    def _accept(self) -> None:
        connection = self._listener.accept()
        if connection is not None:
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)

    def _hear(self, connection: Connection) -> None:
        message = connection.receive()
        if message == {}:
            return
        if message is None:
            self._hang_up(connection)
            return
        if message["kind"] == "hello":
            self._greet(connection, message)
        tracked = self._table.get(connection.pid)
        if tracked is None or tracked.connection is not connection:
            self._hang_up(connection)
            return
        try:
            if message["kind"] == "done" and tracked.steps is not None:
                answer = tracked.steps.send(message)
            else:
                tracked.steps = self._conversation.begin(tracked, message)
                if tracked.steps is None:
                    return
                answer = next(tracked.steps)
            connection.answer(*answer)
            if answer == GO or answer[0] == "options":
                # What the recorder still has to do for this mark costs the target nothing.
                next(tracked.steps)
        except StopIteration:
            tracked.steps = None
        except ProcessGoneError:
            self._ended(tracked)

    def _greet(self, connection: Connection, message: dict[str, Any]) -> None:
        """Learn which process talks, and as what: started, forked, or come back."""
        now = self._now()
        pid = connection.pid
        tracked = self._table.get(pid)
        how = message.get("how")
        if tracked is not None and how == "start" and tracked.connection is not None:
            # The same process, but another program: it called exec.
            role = tracked.role if tracked.role == MAIN else None
            self._event("exec", "the process started another program (exec)", tracked)
            before = tracked
            self._table.ended(tracked, now)
            tracked = self._table.add(pid, now, before, role)
        elif tracked is None:
            parent = self._table.parent_of(pid) or self._table.main
            role = fork_role(parent) if how == "fork" else None
            tracked = self._table.add(pid, now, parent, role)
        if tracked is None:
            return
        if tracked.connection not in (None, connection):
            self._hang_up(tracked.connection)
        tracked.connection = connection
        tracked.argv = command_line(pid) or tracked.argv
        tracked.python = str(message.get("python"))
        tracked.library = str(message.get("library"))
        tracked.memray = message.get("memray") is True
        self._executable = self._executable or message.get("executable")
        if how != "again":
            with contextlib.suppress(ProcessGoneError):
                self._samples.by_interval(tracked, now, tracked.role == MAIN)

    def _hang_up(self, connection: Connection | None) -> None:
        if connection is None:
            return
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(connection.socket)
        connection.close()
        tracked = self._table.get(connection.pid)
        if tracked is not None and tracked.connection is connection:
            tracked.connection = None
            tracked.steps = None

    def _sample_all(self, now: float) -> None:
        for tracked in self._table.alive():
            try:
                if tracked.exiting:
                    tracked.files.basic()
                    continue
                self._samples.by_interval(tracked, now, tracked.role == MAIN)
            except ProcessGoneError:
                self._ended(tracked)
                continue
            if tracked.steps is None and self._conversation.snapshot_due(
                tracked, now, at_mark=False
            ):
                self._conversation.idle_snapshot(tracked, None)

    def _discover(self, now: float) -> None:
        if self._conversation.copying:
            return
        begun = time.perf_counter()
        for tracked in self._table.discover(now):
            with contextlib.suppress(ProcessGoneError):
                self._samples.by_interval(tracked, now, main=False)
        cost_seconds = time.perf_counter() - begun
        self._due["discover"] = now + max(DISCOVER_SECONDS, cost_seconds * 100)

    def _follow_output(self, now: float) -> None:
        matches = sum(output.follow() for output in self._outputs)
        if not matches:
            return
        main = self._table.main
        main.mark_count += matches
        main.last_mark_seconds = now
        with contextlib.suppress(ProcessGoneError):
            self._samples.at_mark(
                main,
                now,
                mark=main.mark_count,
                quiescent=False,
                figures={},
                reset_peak=True,
            )

    def _ended(self, tracked: Tracked) -> None:
        if tracked.ended_seconds is not None:
            return
        if tracked.connection is not None:
            # What it said last, before it ended, is still to be read.
            self._hear_rest(tracked)
            self._hang_up(tracked.connection)
        if tracked.heap is not None:
            tracked.heap.close()
            tracked.heap = None
        if tracked.pid == self._child.pid:
            tracked.exit_status = self._child.poll()
        else:
            reap(tracked.pid)
        self._table.ended(tracked, self._now())

    def _hear_rest(self, tracked: Tracked) -> None:
        assert tracked.connection is not None
        while message := tracked.connection.receive():
            if message["kind"] == "gauges":
                self._conversation.begin(tracked, message)

    def _check_limits(self, now: float) -> None:
        options = self._options
        if self._child.stopping:
            self._child.continue_stop(now)
            return
        if options.duration_seconds is not None and now >= options.duration_seconds:
            self._stop("duration", f"stopped after {options.duration_seconds:g} seconds")
        elif options.limit_memory_bytes is not None:
            held = sum(tracked.rss_bytes for tracked in self._table.alive())
            if held > options.limit_memory_bytes:
                self._stop("limit-memory", f"stopped at {held} bytes resident")
        if options.limit_disk_bytes is not None and not self._child.stopping:
            used = self._writer.size_bytes + sum(output.size_bytes for output in self._outputs)
            if used > options.limit_disk_bytes:
                self._stop("limit-disk", f"stopped at {used} bytes on disk")

    def _stop(self, by: str, text: str) -> None:
        if self._stopped_by is None:
            self._stopped_by = by
            self._event("stop", text, None)
        self._conversation.stopping = True
        self._child.begin_stop(self._now())

    def _finished(self) -> bool:
        """Say whether the target has ended: its main process, and what it left running."""
        status = self._child.poll()
        if status is None:
            return False
        now = self._now()
        if self._main_ended_seconds is None:
            self._main_ended_seconds = now
            self._follow_output(now)
            main = self._table.get(self._child.pid)
            if main is not None:
                main.exit_status = status
                self._ended(main)
            self._discover(now)
            walkers = self._conversation.graphs.walkers if self._conversation.graphs else set()
            self._table.adopt_orphans(now, self._child.pid, str(self._listener.path), walkers)
        alive = self._table.alive()
        if not alive:
            return True
        if self._child.stopping:
            return self._child.given_up
        daemons = [p for p in alive if p.connection is not None and self._is_daemon(p)]
        if daemons:
            if len(daemons) and "daemon" not in self._due:
                self._due["daemon"] = float("inf")
                self._event("daemon", "the target went on in the background", daemons[0])
            return False
        return now - self._main_ended_seconds > LEFT_BEHIND_SECONDS

    def _is_daemon(self, tracked: Tracked) -> bool:
        return session_of(tracked.pid) != self._child.pid

    def _end_leftovers(self) -> None:
        alive = self._table.alive()
        if alive:
            self._event("left-behind", f"ended {len(alive)} processes left running", alive[0])
            self._child.end_now(process.pid for process in alive)
            for tracked in alive:
                reap(tracked.pid, KILLED_SECONDS)
                self._ended(tracked)

    def _event(self, kind: str, text: str, tracked: Tracked | None) -> None:
        self._writer.event(
            kind,
            text,
            time_seconds=self._now(),
            process=tracked.process if tracked else None,
            **{"pass": self._name},
        )
        self._tell("note", text)

    def _tell(self, kind: str, text: str | None = None) -> None:
        if self._progress is None:
            return
        alive = self._table.alive()
        self._progress(
            {
                "kind": kind,
                "pass": self._name,
                "mark": max((tracked.mark_count for tracked in self._table.all), default=0),
                "time_seconds": self._now(),
                "rss_bytes": sum(tracked.rss_bytes for tracked in alive) or None,
                "live_bytes": self._conversation.live_bytes,
                "text": text or next((o.last_line for o in self._outputs if o.last_line), ""),
            }
        )

    def _result(self, started: str, duration_seconds: float) -> PassResult:
        status = self._child.poll()
        self._samples.flush()
        for output in self._outputs:
            output.follow(limit_size=1 << 40)
        if self._table.overflow_count:
            self._event("overflow", f"{self._table.overflow_count} processes not followed", None)
        traced = any(tracked.traced for tracked in self._table.all)
        row = {
            "pass": self._name,
            "started": started,
            "duration_seconds": duration_seconds,
            "exit_status": status if status is not None and status >= 0 else None,
            "signal": signal.Signals(-status).name if status is not None and status < 0 else None,
            "stopped_by": self._stopped_by,
            "stdout_tail": self._outputs[0].tail,
            "stderr_tail": self._outputs[1].tail,
            "traced": traced,
            "why_untraced": self._why_untraced(traced),
        }
        self._tell("ended")
        return PassResult(
            row=row,
            processes=self._process_rows(),
            memray=any(tracked.memray for tracked in self._table.all),
            executable=self._executable,
        )

    def _why_untraced(self, traced: bool) -> str | None:
        if traced:
            return None
        if self._name == "measure":
            return "the measure pass does not trace"
        notes = [tracked.note for tracked in self._table.all if tracked.note]
        return notes[0] if notes else "no Python process connected to the recorder"

    def _close(self) -> None:
        """Release everything, whatever happened before."""
        child = getattr(self, "_child", None)
        if child is not None:
            child.end_now(process.pid for process in self._table.alive())
        for tracked in self._table.alive():
            self._table.ended(tracked, self._now())
        if self._drive is not None:
            self._drive.close()
        self._conversation.close()
        self._listener.close()
        self._selector.close()
        for output in self._outputs:
            output.close()


@contextlib.contextmanager
def _terminate_as_interrupt() -> Iterator[None]:
    """Let SIGTERM end a recording as Ctrl-C does, where this process has no other plan for it."""
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _echo(block: bytes) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.buffer.write(block)
        sys.stderr.flush()
