"""The recording as one Python process of the target sees it."""

import gc
import os
import sys

from . import marks, recycled
from .audited import tell_lines
from .channel import Channel, ChannelError
from .figures import figures
from .label_counts import LabelCounts
from .orders import Orders
from .pacing import Pacing
from .surroundings import has_memray
from .unpatched import (
    allocate_lock,
    get_ident,
    monotonic,
    start_new_thread,
)
from .watchdog import STUCK_SECONDS, Watchdog

# Marks are told without regard to their cost until it has come to this much. So many are told
# whatever they cost, and so many at most, evenly over the run; up to twice as many on the way.
FREE_SECONDS = 1.0
FEWEST_COUNT = 64
MOST_COUNT = 4096
GAUGE_SECONDS = 0.2
# Where no marks are to be expected, the time between calls doubles after so many, but is never more
# than this: they also bring the word that growth was seen and is to be traced.
TICK_COUNT = 256
RAREST_TICK_SECONDS = 5.0
RECONNECT_COUNT = 20
LABEL_FREED_COUNT = 8


class Session(Orders):
    """Talks to the recorder for one process, and for its forked children through ``after_fork``."""

    def __init__(self, path, marks_module=marks):
        self._marks = marks_module
        self._channel = Channel(path)
        self._options = {}
        self._watched = None
        self._origins = None
        self._reset()

    def _reset(self):
        self._lock = allocate_lock()
        self._owner = None
        self._watchdog = Watchdog((Session._mark.__code__, Session.tick.__code__))
        self._count = 0
        self._told_count = 0
        self._gauges = {}
        self._labels = LabelCounts()
        self._pacing = None
        self._due_count = 0
        self._reconnect_count = 0
        self._traced = False
        self._ticking = False
        # Held as long as the probe's thread is to go on, and as long as it has not ended.
        self._ticks_wanted = self._ticks_under_way = None
        self._collection = None
        self._work_ended = False
        self._malloc = None
        # See recycled.py.
        self._held = []
        self._spare = None
        self.begun_seconds = monotonic()
        self._gauges_told_seconds = self.begun_seconds

    def open(self, how, by_marks=False):
        """Introduce this process to the recorder; False when there is none.

        ``by_marks``: see `begin.connect`.
        """
        try:
            self._channel.connect()
            reply = self._channel.ask(
                {
                    "kind": "hello",
                    "how": how,
                    "pid": os.getpid(),
                    "parent": os.getppid(),
                    "python": "%d.%d.%d" % sys.version_info[:3],
                    "implementation": sys.implementation.name,
                    "executable": sys.executable or "",
                    "prefix": sys.prefix,
                    "library": os.path.dirname(os.__file__),
                    "memray": has_memray(),
                    "time": monotonic(),
                    "mark": self._count,
                    "by_marks": by_marks,
                }
            )
            if reply[0] != "options":
                return False
            self._options = dict(field.split("=", 1) for field in reply[1:] if "=" in field)
            # What likely ends at once is spared all that is not needed for it.
            if self._options.get("later") != "1":
                self._prepare()
            opened = self._begin_ticks(float(self._options.get("ticks", "0")))
            try:
                if self._options.get("trace") == "1" and not self._traced:
                    self._trace()
            finally:
                opened.release()
            hooks = self._options.get("hooks")
            if hooks and how == "start":
                from .hooks import install

                install(hooks.split(","))
        except ChannelError:
            self._channel.drop()
            return False
        return True

    def mark(self, label=None, called=True):
        """End one unit of work (see marks.mark); not ``called`` where we were told of its end."""
        self._spare = None
        self._labels.by_hand = True
        if called:
            self._labels.called = True
        else:
            self._labels.seen = True
        self._mark(label)
        self._spare = recycled.spare()

    def mark_call(self, label_of, args, under_way):
        """End the unit of work that a call with ``args`` was; ``label_of(args)`` is its label.

        ``under_way``: how many such calls are, with this one.
        """
        self._spare = None
        self._labels.under_way(under_way)
        self._labels.seen = True
        self._mark(label_of(args))
        # What working out a label frees, more than one of a kind.
        self._spare = recycled.take(LABEL_FREED_COUNT)

    def _mark(self, label):
        if self._owner == get_ident():
            # A signal handler or a finalizer, in the middle of a mark of the same thread.
            self._count += 1
            if self._watchdog.lost(self._owner):
                self._let_go()
            return
        # Asked first, because a call with arguments would free a tuple (see recycled.py).
        if self._lock.locked() and not self._wait():
            return
        with self._lock:
            try:
                self._owner = get_ident()
                self._count += 1
                self._labels.add(label)
                self._labels.ended_in(self._owner)
                if self._count >= self._due_count:
                    self._tell_mark()
            finally:
                self._owner = None

    def _tell_mark(self):
        if self._pacing is None:
            share = float(self._options.get("mark_share", "0.005"))
            self._pacing = Pacing(
                share,
                FEWEST_COUNT,
                MOST_COUNT,
                free_seconds=FREE_SECONDS,
                started=self.begun_seconds,
            )
        self._held.clear()
        if self._pacing.due(monotonic(), self._count):
            self._tell("mark")
        # Until then a mark costs no more than its being counted.
        self._due_count = int(self._pacing.next_x())
        if self._traced:
            self._held.append(recycled.take())

    def _wait(self):
        """Wait for another thread's mark to end; False if it is lost and the target let go."""
        while not self._lock.acquire(timeout=STUCK_SECONDS):
            if self._marks._session is not self:
                return False
            if self._watchdog.lost(self._owner):
                self._let_go()
                return False
        self._lock.release()
        return True

    def _let_go(self):
        """Leave the target alone from now on: a mark has not come back."""
        self._reconnect_count = RECONNECT_COUNT
        self._marks.attach(None)
        why = "a mark has not come back within a second; the target goes on without marks"
        try:
            self._channel.send({"kind": "let go", "why": why, "mark": self._count})
        except ChannelError:
            self._channel.drop()

    def gauge(self, name, value):
        """Remember a figure of the target's own for the next mark (see marks.gauge)."""
        try:
            self._gauges[str(name)] = float(value)
        except (TypeError, ValueError):
            return
        now = monotonic()
        if self._told_count == 0 and now - self._gauges_told_seconds > GAUGE_SECONDS:
            self._gauges_told_seconds = now
            self._say({"kind": "gauges", "time": now, "gauges": {**self._gauges}})

    def segment(self, name):
        """Say that a segment of shared memory was made: who did it may be gone the next moment."""
        self._say({"kind": "segment", "name": name})

    def importing(self, now):
        """Say that a module is looked for, at ``now`` on the monotonic clock."""
        self._say({"kind": "import", "time": now})

    def work_ended(self, why=None):
        """Say, once, that the exit begins: the main program is through, or was asked to end."""
        if self._marks._session is not self or self._work_ended:
            return
        self._work_ended = True
        self._say({"kind": "work-end", "time": monotonic(), "why": why})
        # What is there now is what the work has left. A signal may have come amid a mark or tick of
        # this very thread, which would wait for itself.
        if self._ticking and self._told_count == 0 and not (why and self._lock.locked()):
            self.tick(at_end=True)

    def end(self):
        """Give the last figures before the interpreter goes, and end the tracing."""
        if self._marks._session is self:
            with self._lock:
                self._owner = get_ident()
                try:
                    self._tell("exit")
                except MemoryError:
                    pass  # what the target has died of: it needs no second traceback of ours
                self._marks.attach(None)
            self._end_ticks()
        self.release()

    def _begin_ticks(self, pause_seconds):
        """Start the probe's thread where there is to be one; it waits for a lock to be released.

        It starts before the tracer does, which knows the frames of the threads it meets: those of
        one that `threading` did not start would stay unknown to it.
        """
        opened = allocate_lock()
        opened.acquire()
        if pause_seconds and not self._ticking:
            self._ticking = True
            self._ticks_wanted, self._ticks_under_way = allocate_lock(), allocate_lock()
            self._ticks_wanted.acquire()
            self._ticks_under_way.acquire()
            # The tracer and object graphs import it. The thread that is the first to do so is the
            # main one for it: were that ours, the target's exit would wait for ours to end.
            import threading  # noqa: F401

            start_new_thread(self._tick_on, (opened, pause_seconds))
        return opened

    def _tick_on(self, opened, pause_seconds):
        """Give the recorder an occasion for what it cannot do from outside, now and then."""
        ended = self._ticks_wanted.acquire
        try:
            opened.acquire()
            step_seconds = wait_seconds = pause_seconds
            # What frees its own objects beside the marks would blur what these keep.
            until_mark = self._options.get("ticks_until_mark") == "1"
            while not ended(True, wait_seconds) and self._marks._session is self:
                if not (until_mark and self._told_count) and not self.tick():
                    break
                age_seconds = monotonic() - self.begun_seconds
                rare = age_seconds > TICK_COUNT * step_seconds
                if rare and 2 * step_seconds <= RAREST_TICK_SECONDS:
                    step_seconds *= 2
                # At multiples of the step, so that those of a wider one are among them.
                wait_seconds = step_seconds - age_seconds % step_seconds
        finally:
            self._ticks_under_way.release()

    def _end_ticks(self):
        """Wait for the probe's thread to end: not while the tracer does, see tracing.py."""
        if self._ticking:
            self._ticks_wanted.release()
            self._ticks_under_way.acquire(True, STUCK_SECONDS)

    def tick(self, at_end=False):
        """Tell the figures of the moment; False when it is time to leave.

        ``at_end``: of the last moment of the work, while all that it has left is still there.
        """
        with self._lock:
            try:
                self._owner = get_ident()
                if self._marks._session is not self:  # it ended while this was waiting
                    return False
                self._held.clear()
                go_on = self._tell("tick", at_end)
                if self._traced:
                    self._held.append(recycled.take())
                return go_on
            finally:
                self._owner = None

    def release(self):
        """End the tracing and the connection."""
        if self._origins is not None:
            self._origins.stop()
        self._untrace()
        self._channel.drop()

    def after_fork(self):
        """Open a session of its own in a forked child."""
        if self._marks._session is not self:
            self._marks.attach(None)
            return
        self._channel.drop()
        self._reset()
        if self._origins is not None:
            self._origins.after_fork()
        if not self.open("fork"):
            self._marks.attach(None)

    def _tell(self, kind, at_end=False):
        begun = monotonic()
        self._watchdog.step()
        found = figures()
        message = {
            "kind": kind,
            "at_end": at_end,
            "mark": self._count,
            "step": self._pacing.step_count if self._pacing is not None else 1,
            "time": begun,
            "gc_enabled": gc.isenabled(),
            "gauges": {**self._gauges},
            # What a tick would take, the next mark would miss.
            "labels": {} if kind == "tick" else self._labels.take(),
            "both": self._labels.called and self._labels.seen,
            "at_once": self._labels.at_once(found.get("task_count")),
            "watched": None if self._watched is None else self._watched.changes(self._count),
            "figures": found,
        }
        try:
            tell_lines(self._watched, self._channel)
            reply = self._ask(message)
            # What is asked for beyond the figures is spaced by the recorder, by its own cost.
            cost_seconds = monotonic() - begun
            while reply[0] not in ("go", "detach", "trace", "untrace"):
                reply = self._ask(self._obey(reply, kind))
            if reply[0] == "trace" and not self._traced:
                self._trace()
            elif reply[0] == "untrace":
                self._untrace()
        except ChannelError:
            self._recover()
            return self._channel.intact
        if kind == "mark":
            self._told_count += 1
            self._pacing.spent(cost_seconds, self._count, monotonic())
        return reply[0] != "detach"

    def _say(self, message):
        """Send what wants no answer."""
        try:
            self._channel.send(message)
        except ChannelError:
            self._recover()

    def _ask(self, message):
        self._watchdog.excused = True
        try:
            return self._channel.ask(message)
        finally:
            self._watchdog.excused = False
            self._watchdog.step()

    def _recover(self):
        """Connect again where the target closed our descriptor; else go on without recording."""
        if not self._channel.intact and self._reconnect_count < RECONNECT_COUNT:
            self._reconnect_count += 1
            if self.open("again"):
                return
        self._channel.drop()
        self._marks.attach(None)
