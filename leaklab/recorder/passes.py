"""One pass: start the target, follow its processes, keep to the limits, end it in time."""

from __future__ import annotations

import contextlib
import time

from leaklab.recorder.drive import Drive
from leaklab.recorder.intervals import FIRST_INTERVAL_SECONDS
from leaklab.recorder.pass_end import PROGRESS_SECONDS, PassEnd
from leaklab.recorder.pass_result import PassReport, PassResult
from leaklab.recorder.processes.child import Subreaper
from leaklab.recorder.processes.tracked import MAIN, Tracked
from leaklab.recorder.procfs import ProcessGoneError

FLUSH_SECONDS = 1.0
OUTPUT_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 0.5
# A process that comes to no mark, or is slow to load the tracer, is waited for so much longer.
WINDOW_WAIT_SECONDS = 10.0


class PassRecorder(PassEnd, PassReport):
    """Records one pass. Everything happens in one thread, driven by a selector.

    A running process is recorded in one go: its series are the measure pass, its heap is the
    explain pass of the run, and it has a process number in each.
    """

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
            self._server.watch_end_of(self._pid)
            # At once it would be the program loader that is measured.
            self._due["sample"] = FIRST_INTERVAL_SECONDS
            self._tell("started")
            while not self._finished():
                self._check_interruption()
                self._step()
            duration_seconds = self._now()
            self._end_leftovers()
            self._read_streams()
            self._store_graphs()
            return self._result(started, duration_seconds)

    def _step(self) -> None:
        self._server.listen(self._pause(self._now()))
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
            self._handlers.check_streams(self._table.alive())
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
        over = drive.step(now, pids, self._handlers.stream_ports)
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
            alive = self._table.alive()
            waits = now <= self._window_end_seconds + WINDOW_WAIT_SECONDS
            over = not any(one.traced or (waits and one.awaits_window) for one in alive)
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
            if self._wants_window and decision.verdict == "leak" and self._traceable():
                self._open_window(now, why)
            elif self._options.until_decided:
                self._stop("decided", why)

    def _traceable(self) -> list[Tracked]:
        """Return the processes whose tracer can be asked to begin."""
        return [one for one in self._table.alive() if one.memray and one.connection is not None]

    def _open_window(self, now: float, why: str) -> None:
        """Have every process traced for a while, from its next mark or tick on."""
        seconds = self._options.traced_window_seconds or 0.0
        self._window_end_seconds = now + seconds
        self._why_window = why
        self._event("window", f"tracing for {seconds:g} seconds: {why}", None)
        for tracked in self._traceable():
            self._table.give_heap_number(tracked)
            tracked.window_seconds = seconds

    def _pause(self, now: float) -> float:
        """Return how long to wait for messages: waking up is the dearest part of a sample."""
        next_sample = self._due.get("sample", 0.0)
        if next_sample - now <= OUTPUT_SECONDS:
            # What else falls due by then is done on the same occasion.
            return max(0.0, next_sample - now)
        return max(0.0, min(min(self._due.values()) - now, LONGEST_PAUSE_SECONDS))

    def _is_due(self, what: str, now: float) -> bool:
        return now >= self._due.get(what, 0.0)

    def _sample_all(self, now: float) -> None:
        if self._handlers.copying:
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
            if tracked.steps is None and self._handlers.snapshot_due(tracked, now, at_mark=False):
                self._handlers.idle_snapshot(tracked, None)

    def _close(self) -> None:
        """Release everything, whatever happened before."""
        self._target.end_now(process.pid for process in self._table.alive())
        if self._drive is not None:
            self._drive.close()
        self._handlers.close()
        self._server.close()
        self._target.close()
