"""How a pass ends: by its target, its limits, or somebody who interrupts it."""

from __future__ import annotations

import functools
import select
from collections.abc import Callable
from typing import TypeVar

from leaklab.recorder.drive import READY_SECONDS
from leaklab.recorder.options import NO_GRAPHS
from leaklab.recorder.pass_state import PassState
from leaklab.recorder.processes.child import reap
from leaklab.recorder.procfs import session_of
from leaklab.recorder.target import RunningTarget

# What the main process leaves behind is given this long to end by itself.
LEFT_BEHIND_SECONDS = 2.0
KILLED_SECONDS = 2.0
PROGRESS_SECONDS = 0.25

Computed = TypeVar("Computed")


class PassEnd(PassState):
    """Stops the target at a limit and sees to what is left of it."""

    def _check_interruption(self) -> None:
        """Stop when somebody has asked to; with no more patience when asked again."""
        while self._interruption_count < self._interruption.count:
            self._interruption_count += 1
            if self._interruption_count > 1:
                self._target.end_now(process.pid for process in self._table.alive())
            self._stop("interrupt", "interrupted")

    @property
    def _hurried(self) -> bool:
        """Whether somebody has asked once more, after the target was asked to end.

        A process that connects by itself ends by itself: who asks for it asks the recorder.
        """
        heard_count = 0 if self._options.channel is not None else self._interruption_count
        return self._interruption.count > heard_count

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
        awaited = READY_SECONDS if self._marks_expected else 0.0
        if self._drive is not None:
            awaited = self._drive.patience_seconds
        return max(duration_seconds, 2 * awaited)

    def _stop(self, by: str, text: str) -> None:
        if self._stopped_by is None:
            self._stopped_by = by
            self._event("stop", text, None)
        self._handlers.stopping = True
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
        daemons = [p for p in alive if p.python and session_of(p.pid) not in (None, self._pid)]
        if daemons and not self._background and not self._target.stopping:
            self._event("daemon", "the target went on in the background", daemons[0])
            self._background = daemons
        if self._background:
            self._background += [one for one in daemons if one not in self._background]
            self._table.hand_over(self._background, now)
        if not alive:
            return True
        if self._target.stopping:
            return self._target.given_up
        return not daemons and now - self._main_ended_seconds > LEFT_BEHIND_SECONDS

    def _look_for_orphans(self, now: float) -> None:
        self._discover(now)
        graphs = self._handlers.graphs
        self._table.adopt_orphans(
            now, self._pid, self._server.channel, graphs.walkers if graphs else set()
        )

    def _let_go(self, target: RunningTarget) -> bool:
        """Say whether a process that runs on its own has ended or was let go."""
        why = target.why_not_attached()
        if why is not None:
            self._not_attached(why)
        connected = any(tracked.connection for tracked in self._table.alive())
        if target.has_ended():
            return True
        if target.stopping:
            return target.given_up or not (connected or target.attaching)
        # Who has connected of their own accord ends the recording by hanging up.
        by_itself = self._options.channel is not None and self._server.was_used
        return by_itself and not connected

    def _not_attached(self, why: str) -> None:
        """Say at once what there will not be, for want of the probe: the recording may be long."""
        main = self._table.main
        if "explain" in self._options.passes:
            self._handlers.note_untraced(main, why)
        else:
            why += "; no traced window either" if self._wants_window else ""
            self._event(NO_GRAPHS, why, main)
            main.note = f"{NO_GRAPHS}: {why}"
        self._warn(f"{main.note}; series alone are recorded, leaklab doctor says how to attach")

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
        follower = self._handlers.follower
        if follower is None:
            return
        waiting_bytes = self._handlers.check_streams(())
        while follower.behind_count and not self._hurried:
            left = f"the target has ended; reading what is left: {waiting_bytes:,} bytes"
            self._tell("note", left)
            select.select([follower.woken], [], [], PROGRESS_SECONDS)
            self._handlers.store_snapshots()
            waiting_bytes = self._handlers.check_streams(())
        self._handlers.store_snapshots()
        if follower.behind_count:
            follower.abandon()
            self._event("unread", f"{waiting_bytes:,} bytes of the heap's stream not read", None)

    def _store_graphs(self) -> None:
        """Read the object graphs, the last first, unless somebody asks again."""
        graphs = self._handlers.graphs
        if graphs is None or not graphs.were_taken():
            return
        self._tell("note", "waiting for the last object graph")
        unread = self._unless_hurried(graphs.to_read) or []
        for place, one in enumerate(unread, 1):
            self._tell("note", f"reading object graph {place} of {len(unread)}")
            for table, columns in self._unless_hurried(functools.partial(graphs.read, one)) or ():
                self._writer.append(table, columns)
            if self._hurried:
                break
        if self._hurried:
            self._event("graphs-unread", "object graphs not read: interrupted", None)
        graphs.close()

    def _unless_hurried(self, compute: Callable[[], Computed]) -> Computed | None:
        """Return what ``compute`` does; None where somebody does not want to wait for it."""
        try:
            with self._interruption.at_once():
                return None if self._hurried else compute()
        except KeyboardInterrupt:
            return None
