"""One pass: start the target, follow its processes, keep to the limits, end it in time."""

from __future__ import annotations

import contextlib
import math
import select
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from leaklab.recorder.command import Command
from leaklab.recorder.drive import READY_SECONDS, Drive, drive_command
from leaklab.recorder.heap.stacks import StackTable
from leaklab.recorder.interruption import Interruption
from leaklab.recorder.options import RecordOptions
from leaklab.recorder.probes.handlers import Conversation, how_to_add
from leaklab.recorder.probes.server import Switchboard
from leaklab.recorder.processes.child import Subreaper, reap
from leaklab.recorder.processes.samples import Samples
from leaklab.recorder.processes.table import MAIN, ProcessTable, Tracked
from leaklab.recorder.procfs import ProcessGoneError, session_of, working_folder
from leaklab.recorder.stdin import Stdin
from leaklab.recorder.target import RunningTarget, StartedTarget
from leaklab.store import RunWriter

FLUSH_SECONDS = 1.0
PROGRESS_SECONDS = 0.25
OUTPUT_SECONDS = 0.05
DISCOVER_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 0.5
# The adaptive interval: this at first, doubled whenever the run has come to so many of them; a
# fixed one as well, later.
FIRST_INTERVAL_SECONDS = 0.02
SAMPLE_COUNT = 512
FIXED_SAMPLE_COUNT = 20_000
# What the main process leaves behind is given this long to end by itself.
LEFT_BEHIND_SECONDS = 2.0
# A shell tells by larger ones that a signal has ended the program.
LARGEST_OWN_STATUS = 128
KILLED_SECONDS = 2.0


def interval_seconds(now: float, fixed: float | None = None) -> float:
    """Return the time between samples ``now`` seconds into a pass, a power of two of the first.

    >>> interval_seconds(5.0), interval_seconds(15.0)
    (0.02, 0.04)
    """
    first = FIRST_INTERVAL_SECONDS if fixed is None else fixed
    most = SAMPLE_COUNT if fixed is None else FIXED_SAMPLE_COUNT
    folds = max(now / first / most, 1.0)
    return float(first * 2 ** math.ceil(math.log2(folds)))


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


@dataclass(frozen=True)
class PassResult:
    """What run.json says of a pass, and what the next pass needs to know."""

    rows: list[dict[str, Any]]
    processes: list[dict[str, Any]]
    why_no_heap: str | None
    #: by role, the most marks one of its processes has told
    told_mark_counts: dict[str, int]
    #: by role, how many processes have ended within a second
    short_counts: dict[str, int]
    #: whether a drive had put it under load
    was_driven: bool = False

    @property
    def failed_status(self) -> int | None:
        """Exit status of a target that failed of itself before any work was seen, else None.

        Marks and a load are work, and want of memory is what is looked for: there another pass
        tells more. So it may of what was killed.
        """
        row = self.rows[0]
        status = row["exit_status"] or 0
        said = str(row["stderr_tail"] or "").strip().splitlines()[-1:]
        wanted_memory = any("MemoryError" in line for line in said)
        marked = any(process["mark_count"] for process in self.processes)
        worked = marked or self.was_driven or wanted_memory
        failed = 0 < status <= LARGEST_OWN_STATUS and row["stopped_by"] is None
        return status if failed and not worked else None


class PassRecorder:
    """Records one pass. Everything happens in one thread, driven by a selector.

    A running process is recorded in one go: its series are the measure pass, its heap is the
    explain pass of the run, and it has a process number in each.
    """

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
        progress: Callable[[dict[str, Any]], None] | None,
        interruption: Interruption,
        *,
        expected_mark_counts: Mapping[str, int],
        short_counts: Mapping[str, int],
        marks_expected: bool = False,
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
        self._written_process_count = 0
        first_process = max((row["process"] for row in self._before), default=-1) + 1
        self._table = ProcessTable(first_process, options.collect_share, options.snapshot_share)
        self._table.short_counts.update(short_counts)
        self._samples = Samples(writer, name, options.watch_files, options.cwd)
        heap_pass = "explain" if options.pid and "explain" in options.passes else name
        self._conversation = Conversation(
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
            many_short=self._table.many_short,
        )
        channel = Path(options.channel) if options.channel else socket_folder / f"{name}.sock"
        self._switchboard = Switchboard(
            channel, self._table, self._conversation, self._samples, self._now, self._event
        )
        self._target: StartedTarget | RunningTarget
        if options.pid is None:
            self._target = StartedTarget(options, command, name, output_folder, channel, stdin)
        else:
            self._target = RunningTarget(options, channel)
        self._pid = 0
        self._stopped_by: str | None = None
        self._interruption = interruption
        self._heeded_count = 0
        self._main_ended_seconds: float | None = None
        self._in_background = False
        self._work_began_seconds: float | None = None
        self._marks_expected = marks_expected
        self._due: dict[str, float] = {}
        self._wants_window = name == "graph" and options.traced_window_seconds is not None
        self._window_end_seconds: float | None = None
        self._why_window = ""
        self._decider: Decider | None = None
        if decider is not None and (options.until_decided or self._wants_window):
            self._decider = decider(writer.path, options.duration_seconds)
        self._drive: Drive | None = None
        if options.drive is not None:
            self._drive = Drive(
                drive_command(options.drive, options.cwd),
                options.drive_round_count,
                options.drive_idle_seconds,
                options.cwd,
                lambda kind, text: self._event(kind, text, None),
                options.drive_port,
            )

    def _now(self) -> float:
        return time.monotonic() - self._begun

    def run(self) -> PassResult:
        """Record until the target has ended; raises LeaklabError when it cannot be started."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._close)
            stack.enter_context(Subreaper())
            started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            self._begun = time.monotonic()
            self._pid = self._target.start()
            main = self._table.add(self._pid, 0.0, None, MAIN)
            if main is not None:
                # In the middle of its exec a process has no arguments yet.
                main.argv = main.argv or list(self._command.argv)
            self._switchboard.watch_end_of(self._pid)
            # At once it would be the program loader that is measured.
            self._due["sample"] = FIRST_INTERVAL_SECONDS
            self._tell("started")
            while not self._finished():
                self._heed_interruption()
                self._step()
            duration_seconds = self._now()
            self._end_leftovers()
            self._read_streams()
            self._store_graphs()
            return self._result(started, duration_seconds)

    def _heed_interruption(self) -> None:
        """Stop when somebody has asked to; with no more patience when asked again."""
        while self._heeded_count < self._interruption.count:
            self._heeded_count += 1
            if self._heeded_count > 1:
                self._target.end_now(process.pid for process in self._table.alive())
            self._stop("interrupt", "interrupted")

    def _step(self) -> None:
        self._switchboard.listen(self._pause(self._now()))
        now = self._now()
        if self._is_due("sample", now):
            self._sample_all(now)
            # At multiples of the interval: those of a wider one are among them.
            interval = self._interval(now)
            self._due["sample"] = (now // interval + 1) * interval
            for tracked in self._table.alive():
                tracked.looks.interval_seconds = interval
        if self._is_due("discover", now):
            self._due["discover"] = now + self._discover(now)
        if self._is_due("output", now):
            self._follow_output(now)
            self._due["output"] = now + OUTPUT_SECONDS
        if self._is_due("flush", now):
            self._conversation.check_streams(self._table.alive())
            self._write_processes()
            self._samples.flush()
            self._writer.flush()
            self._due["flush"] = now + FLUSH_SECONDS
            self._decide(now)
        if self._is_due("progress", now):
            self._tell("figures")
            self._due["progress"] = now + PROGRESS_SECONDS
        self._check_limits(now)
        if self._drive is not None and not self._target.stopping:
            self._drive_on(self._drive, now)

    def _drive_on(self, drive: Drive, now: float) -> None:
        """Keep the target under load; a load that fails because the target is gone is no news."""
        if self._main_ended_seconds is not None:
            return
        pids = [tracked.pid for tracked in self._table.alive()]
        over = drive.step(now, pids, self._conversation.stream_ports)
        if drive.has_begun and self._work_began_seconds is None:
            self._work_began_seconds = now
        if drive.loaded_until_seconds is not None:
            self._table.work_over(drive.loaded_until_seconds)
        if over:
            self._stop("drive", "stopped after the drive")

    def _decide(self, now: float) -> None:
        """Where the verdict is decided by what is stored: open the traced window, or stop."""
        if self._decider is None or self._target.stopping:
            return
        if self._window_end_seconds is not None:
            over = not any(tracked.traced for tracked in self._table.alive())
            if over and now > self._window_end_seconds and self._options.until_decided:
                self._stop("decided", self._why_window)
            return
        mark_count = max(tracked.mark_count for tracked in self._table.all)
        if self._decider.due(now, mark_count):
            self._writer.update(processes=[*self._before, *self._table.rows(self._name)])
            decision = self._decider.look(now, mark_count)
            if decision is None:
                return
            why = f"{decision.verdict}: {decision.reason}"
            if self._wants_window and decision.verdict == "leak":
                self._open_window(now, why)
            elif self._options.until_decided:
                self._stop("decided", why)

    def _open_window(self, now: float, why: str) -> None:
        """Have every process traced for a while, from its next mark or tick on."""
        seconds = self._options.traced_window_seconds or 0.0
        self._window_end_seconds = now + seconds
        self._why_window = why
        self._event("window", f"tracing for {seconds:g} seconds: {why}", None)
        for tracked in self._table.alive():
            if tracked.memray and tracked.connection is not None:
                self._table.give_heap_number(tracked)
                tracked.window_end_seconds = self._window_end_seconds

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
        return interval_seconds(now, self._options.interval_seconds)

    def _sample_all(self, now: float) -> None:
        if self._conversation.copying:
            return  # what /proc shows now is not the target's: a child, descriptors of the probe
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

    def _discover(self, now: float) -> float:
        """Look for new processes; returns the seconds until the next look."""
        if self._conversation.copying:
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
        self._switchboard.ended(tracked)
        if tracked.pid != self._pid:
            reap(tracked.pid)

    def _check_limits(self, now: float) -> None:
        options = self._options
        if self._target.stopping:
            self._target.continue_stop(now)
            return
        if options.duration_seconds is not None and now >= self._latest(options.duration_seconds):
            self._stop("duration", f"stopped after {options.duration_seconds:g} seconds")
            return
        if options.limit_memory_bytes is not None:
            held = sum(tracked.rss_bytes for tracked in self._table.alive())
            if held > options.limit_memory_bytes:
                self._stop("limit-memory", f"stopped at {held} bytes resident")
                return
        if options.limit_disk_bytes is not None:
            used = self._writer.size_bytes + self._target.size_bytes
            if used > options.limit_disk_bytes:
                self._stop("limit-disk", f"stopped at {used} bytes on disk")

    def _latest(self, duration_seconds: float) -> float:
        """Return when the target has had its time: its start is no work, and takes longer traced.

        Marks that do not come although they did in the pass before are waited for as long as a
        service that is to be put under load.
        """
        if self._work_began_seconds is None and any(one.mark_count for one in self._table.alive()):
            self._work_began_seconds = self._now()
        if self._work_began_seconds is not None:
            return self._work_began_seconds + duration_seconds
        awaited = self._drive is not None or self._marks_expected
        return max(duration_seconds, 2 * READY_SECONDS if awaited else 0.0)

    def _stop(self, by: str, text: str) -> None:
        if self._stopped_by is None:
            self._stopped_by = by
            self._event("stop", text, None)
        self._conversation.stopping = True
        self._table.work_over(self._now())
        self._target.begin_stop(self._now())

    def _finished(self) -> bool:
        if isinstance(self._target, RunningTarget):
            return self._let_go(self._target)
        if not self._target.has_ended():
            return False
        now = self._now()
        if self._main_ended_seconds is None:
            self._main_ended_seconds = now
            self._follow_output(now)
            main = self._table.get(self._pid)
            if main is not None:
                self._ended(main)
            self._look_for_orphans(now)
        if not self._table.alive():
            # A process whose first thread has ended counts as gone; while another thread is on its
            # way out (memray's, say), a child forked just then is not handed on to anybody.
            while self._table.last_ended:
                reap(self._table.last_ended.pop(), KILLED_SECONDS)
            self._look_for_orphans(now)
        alive = self._table.alive()
        if not alive:
            return True
        if self._target.stopping:
            return self._target.given_up
        daemons = [p for p in alive if p.python and session_of(p.pid) not in (None, self._pid)]
        if daemons and not self._in_background:
            self._in_background = True
            self._event("daemon", "the target went on in the background", daemons[0])
        return not daemons and now - self._main_ended_seconds > LEFT_BEHIND_SECONDS

    def _look_for_orphans(self, now: float) -> None:
        self._discover(now)
        graphs = self._conversation.graphs
        self._table.adopt_orphans(
            now, self._pid, self._switchboard.channel, graphs.walkers if graphs else set()
        )

    def _let_go(self, target: RunningTarget) -> bool:
        """Say whether a process that runs on its own has ended or was let go."""
        why = target.why_not_attached()
        if why is not None:
            self._conversation.note_untraced(self._table.main, why)
        connected = any(tracked.connection for tracked in self._table.alive())
        if target.has_ended():
            return True
        if target.stopping:
            return target.given_up or not (connected or target.attaching)
        # Who has connected of their own accord ends the recording by hanging up.
        by_itself = self._options.channel is not None and self._switchboard.was_used
        return by_itself and not connected

    def _end_leftovers(self) -> None:
        alive = self._table.alive()
        if not self._target.owned:
            for tracked in alive:
                self._ended(tracked)
        elif alive:
            self._event("left-behind", f"ended {len(alive)} processes left running", alive[0])
            self._target.end_now(process.pid for process in alive)
            for tracked in alive:
                reap(tracked.pid, KILLED_SECONDS)
                self._ended(tracked)

    def _read_streams(self) -> None:
        """Let the reader come to what the target was ahead of it, unless somebody asks again."""
        follower = self._conversation.follower
        if follower is None:
            return
        waiting_bytes = self._conversation.check_streams(())
        while follower.behind_count and self._heeded_count == self._interruption.count:
            self._tell("figures", f"reading what the target has allocated: {waiting_bytes:,} bytes")
            select.select([follower.woken], [], [], PROGRESS_SECONDS)
            self._conversation.store_snapshots()
            waiting_bytes = self._conversation.check_streams(())
        self._conversation.store_snapshots()
        if follower.behind_count:
            follower.abandon()
            self._event("unread", f"{waiting_bytes:,} bytes of the heap's stream not read", None)

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
            self._writer.update(processes=[*self._before, *self._table.rows(self._name)])

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
        self._progress(
            {
                "kind": kind,
                "pass": self._name,
                "mark": max((tracked.mark_count for tracked in self._table.all), default=0),
                "time_seconds": self._now(),
                "rss_bytes": sum(tracked.rss_bytes for tracked in self._table.alive()) or None,
                "live_bytes": self._conversation.live_bytes,
                "text": text or self._target.last_line,
            }
        )

    def _result(self, started: str, duration_seconds: float) -> PassResult:
        self._samples.flush()
        self._target.follow(limit_size=1 << 40)
        if self._table.overflow_count:
            self._event("overflow", f"{self._table.overflow_count} processes not followed", None)
        outcome = self._target.outcome()
        self._table.main.exit_status = outcome["exit_status"]
        stdout_tail, stderr_tail = self._target.tails
        row = {
            "pass": self._name,
            "started": started,
            "duration_seconds": duration_seconds,
            **outcome,
            "stopped_by": self._stopped_by,
            "stdout_tail": stdout_tail,
            "stderr_tail": stderr_tail,
            "kept": {"interval_seconds": self._interval(duration_seconds), **self._table.kept()},
            **self._tracing(self._name),
            "stream_held_seconds": self._conversation.stream_held_seconds,
        }
        row["looks"] = self._looks()
        rows = [row]
        attached = self._options.pid and "explain" in self._options.passes
        if attached or self._window_end_seconds is not None:
            rows.append({**row, "pass": "explain", **self._tracing("explain")})
        self._tell("ended")
        told: dict[str, int] = {}
        for tracked in self._table.all:
            if tracked.told_mark_count:
                told[tracked.role] = max(told.get(tracked.role, 0), tracked.mark_count)
        return PassResult(
            rows=rows,
            processes=self._table.rows(self._name),
            why_no_heap=self._why_no_heap(),
            told_mark_counts=told,
            short_counts=dict(self._table.short_counts),
            was_driven=self._drive is not None and self._drive.has_begun,
        )

    def _looks(self) -> dict[str, Any]:
        """Say how the main process was looked at: step between looks, how often it has doubled."""
        row = self._table.main.looks.row()
        collected = row["collection_step"] or row["snapshot_step"]
        at_marks = self._table.main.told_mark_count > 0
        unit = "iteration" if at_marks else "second"
        step = row["mark_step"] if at_marks else row["sample_step_seconds"]
        return {"unit": unit, "step": step, "collected": collected, "doubled": row["doubled"]}

    def _why_no_heap(self) -> str | None:
        """Say why there will be no heap to trace in a pass with the same command."""
        heard = [tracked for tracked in self._table.all if tracked.python]
        if not heard:
            return "no Python process was seen; the series of the measure pass are all there is"
        if not any(tracked.memray for tracked in heard):
            return f"memray is not installed for the target; {how_to_add(heard[0])}"
        return None

    def _tracing(self, pass_name: str) -> dict[str, Any]:
        if pass_name != "explain":
            return {"traced": False, "why_untraced": f"the {pass_name} pass does not trace"}
        if any(tracked.traced or tracked.snapshot_count for tracked in self._table.all):
            return {"traced": True, "why_untraced": None}
        notes = [tracked.note for tracked in self._table.all if tracked.note]
        why = notes[0] if notes else "no Python process connected to the recorder"
        return {"traced": False, "why_untraced": why}

    def _close(self) -> None:
        """Release everything, whatever happened before."""
        self._target.end_now(process.pid for process in self._table.alive())
        if self._drive is not None:
            self._drive.close()
        self._conversation.close()
        self._switchboard.close()
        self._target.close()
