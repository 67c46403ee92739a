"""Who talks to the recorder: accepts probes, knows their processes, carries messages about."""

from __future__ import annotations

import contextlib
import os
import selectors
from collections.abc import Callable
from pathlib import Path
from typing import Any

from leaklab.recorder.channel import Connection, Listener
from leaklab.recorder.probes.handlers import ProbeHandlers
from leaklab.recorder.processes.roles import command_role, fork_role
from leaklab.recorder.processes.samples import Samples
from leaklab.recorder.processes.table import ProcessTable
from leaklab.recorder.processes.tracked import MAIN, SHORT_LIVED, Tracked
from leaklab.recorder.procfs import ProcessGoneError, command_line, stack_start

# Nobody waits for an answer to these.
UNANSWERED = ("gauges", "import", "let go", "lines", "segment", "work-end")
Note = Callable[[str, str, Tracked | None], None]


class ProbeServer:
    """The lines to the probes of one pass, and the selector everything waits on."""

    def __init__(
        self,
        channel: Path,
        table: ProcessTable,
        handlers: ProbeHandlers,
        samples: Samples,
        clock: Callable[[], float],
        note: Note,
    ) -> None:
        self._table = table
        self._handlers = handlers
        self._samples = samples
        self._clock = clock
        self._note = note
        self._listener = Listener(channel)
        self.channel = str(channel)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener.socket, selectors.EVENT_READ, "listener")
        if handlers.follower is not None:
            woken = handlers.follower.woken
            self._selector.register(woken, selectors.EVENT_READ, "snapshots")
        self._end: int | None = None
        #: whether any probe has ever connected
        self.was_used = False

    def watch_end_of(self, pid: int) -> None:
        """Wake up when ``pid`` ends."""
        with contextlib.suppress(OSError):
            self._end = os.pidfd_open(pid)
            self._selector.register(self._end, selectors.EVENT_READ, "ended")

    def listen(self, timeout_seconds: float) -> None:
        """Wait for messages at most this long, and deal with them."""
        for key, _ in self._selector.select(timeout_seconds):
            if key.data == "listener":
                self._accept()
            elif key.data == "snapshots":
                self._handlers.store_snapshots()
            elif key.data == "ended":
                # Once is enough to wake up: whoever wants the exit status asks for it.
                self._selector.unregister(key.fileobj)
            else:
                self._on_readable(key.data)

    def hang_up(self, connection: Connection | None) -> None:
        """Close a line; the probe goes silent and its process goes on."""
        if connection is None:
            return
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(connection.socket)
        connection.close()
        tracked = self._table.get(connection.pid)
        if tracked is not None and tracked.connection is connection:
            tracked.connection = None
            tracked.steps = None
            if not tracked.exiting:
                tracked.line_lost_since_seconds = self._clock()

    def ended(self, tracked: Tracked) -> None:
        """Note the end of a process, after what it said last was heard."""
        if tracked.ended_seconds is not None:
            return
        if tracked.connection is not None:
            while message := tracked.connection.receive():
                if message["kind"] in UNANSWERED:
                    self._handlers.on_message(tracked, message)
            self.hang_up(tracked.connection)
        self._handlers.let_go(tracked)
        self._table.ended(tracked, self._clock())
        self._samples.ended(tracked, self._table.fold(tracked))

    def close(self) -> None:
        """Close every line."""
        for tracked in self._table.alive():
            self._samples.ended(tracked)
            self._table.ended(tracked, self._clock())
        for key in list(self._selector.get_map().values()):
            if isinstance(key.data, Connection):
                key.data.close()
        self._listener.close()
        self._selector.close()
        if self._end is not None:
            os.close(self._end)

    def _accept(self) -> None:
        connection = self._listener.accept()
        if connection is not None:
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)

    def _on_readable(self, connection: Connection) -> None:
        message = connection.receive()
        if message == {}:
            return
        if message is None:
            self.hang_up(connection)
            return
        if message["kind"] == "hello":
            self._on_hello(connection, message)
        tracked = self._table.get(connection.pid)
        if tracked is None or tracked.connection is not connection:
            self.hang_up(connection)
            return
        try:
            self._handle(connection, tracked, message)
        except StopIteration:
            tracked.steps = None
        except ProcessGoneError:
            self.ended(tracked)

    def _handle(self, connection: Connection, tracked: Tracked, message: dict[str, Any]) -> None:
        if message["kind"] in UNANSWERED:
            self._handlers.on_message(tracked, message)
            return
        if message["kind"] == "done" and tracked.steps is not None:
            answer = tracked.steps.send(message)
        else:
            tracked.steps = self._handlers.handle(tracked, message)
            if tracked.steps is None:
                return
            answer = next(tracked.steps)
        connection.answer(*answer)
        if answer[0] in ("go", "options", "detach", "stop", "again", "trace", "untrace"):
            # What the recorder still has to do for this mark costs the target nothing.
            next(tracked.steps)

    def _attached(self, tracked: Tracked, now: float) -> None:
        """Say from when on a process that ran before is seen, and what of it is not."""
        tracked.ticks = True  # the probe's thread, which counts as none of the target's
        said = f"attached after {now:.1f} s"
        if self._handlers.traces:
            self._table.give_heap_number(tracked)
            tracked.note = said = f"{said}; allocations made before are not seen"
        self._note("attached", said, tracked)

    def _on_hello(self, connection: Connection, message: dict[str, Any]) -> None:
        """Learn which process talks, and as what: started, forked, or come back."""
        now = self._clock()
        pid = connection.pid
        tracked = self._table.get(pid)
        how = message.get("how")
        if tracked is not None and how == "start" and tracked.python is not None:
            if not _is_another_program(tracked):
                # The line that is open stays: this one is hung up on.
                self._note(
                    "interpreter", "another interpreter of the process is not heard", tracked
                )
                return
            # The same process, but another program: it called exec.
            role = tracked.role if tracked.role == MAIN else None
            self._note("exec", "the process started another program (exec)", tracked)
            before = tracked
            before.line_lost_since_seconds = None  # the program ended when the line did
            self._table.ended(tracked, now)
            self._samples.ended(tracked)
            tracked = self._table.add(pid, now, before, role)
        elif tracked is None:
            parent = self._table.parent_of(pid) or self._table.main
            tracked = self._table.add(pid, now, parent, SHORT_LIVED)
        if tracked is None:
            return
        if tracked.connection not in (None, connection):
            self.hang_up(tracked.connection)
        self.was_used = True
        if how == "fork" and tracked.python is None:
            tracked.role = fork_role(self._table.parent_of(pid) or self._table.main)
        if how == "start" and tracked.role != MAIN:
            # It may have been seen between its fork and its exec.
            tracked.role = command_role(command_line(pid))
        tracked.connection = connection
        tracked.line_lost_since_seconds = None
        tracked.stack_start = tracked.stack_start or stack_start(pid)
        tracked.argv = command_line(pid) or tracked.argv
        tracked.python = str(message.get("python"))
        tracked.library = str(message.get("library"))
        if how == "start":
            tracked.by_marks = message.get("by_marks") is True
        if how == "attach":
            self._attached(tracked, now)
        tracked.executable = str(message.get("executable"))
        tracked.memray = message.get("memray") is True
        if how != "again":
            with contextlib.suppress(ProcessGoneError):
                self._samples.by_interval(tracked, now, tracked.role == MAIN)


def _is_another_program(tracked: Tracked) -> bool:
    """Say whether a process that says hello once more has become another program (exec).

    That closes its line, unless a copy of the process holds it, and moves its stack; another
    interpreter within the same program does neither.
    """
    if tracked.connection is None or tracked.connection.hung_up:
        return True
    now = stack_start(tracked.pid)
    return None not in (now, tracked.stack_start) and now != tracked.stack_start
