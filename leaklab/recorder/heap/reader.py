"""The process that follows the targets' memray streams, one for each explain pass.

It is a process of its own, so that the walk over a large heap never stops the recorder from
sampling. It is handed the streams by the relay (see relay.py), which also goes on without it: no
target ever meets a dead stream.

Run as a file with the number of a connected Unix socket; speaks lines of JSON, followed by raw
64-bit integers where the line announces them (tens of thousands of stacks as text would take
longer than finding them). Standard library and memray only.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import gc
import json
import os
import re
import signal
import socket
import stat
import struct
import sys
import termios
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import memray

# As in leaklab.probe.marker, which this file cannot import; held equal by a test.
MARKER_FUNCTION = "allocate_marker"
MARKER_STEP_BYTES = 256
_PROBE_FILE = re.compile(r"[/\\]leaklab[/\\]probe[/\\]")
_PLUGIN_FILE = re.compile(r"[/\\]leaklab[/\\]pytest_plugin[/\\]")
_POLL_SECONDS = 0.0003
# A heap that has not changed for so long shows all that memray's thread was handed.
_STILL_SECONDS = 0.01
# Frames without a number: the probe's own, the marker's, and those of the wrappers around what
# counts as a mark (probe/hooks.py), which are left out of the target's stacks.
_DROPPED = -1
_MARKER = -2
_WRAPPER = -3

Frame = tuple[str, str, int]


class FrameNumbers(dict[Frame, int]):
    """Numbers frames as they are asked for: thousands of stacks share theirs.

    ``new``: those numbered since it was last emptied, in the order of their numbers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.new: list[Frame] = []
        self._count = 0

    def __missing__(self, frame: Frame) -> int:
        function, file, _ = frame
        if file == "<leaklab>":
            number = _WRAPPER
        elif _PROBE_FILE.search(file):
            number = _MARKER if function == MARKER_FUNCTION else _DROPPED
        else:
            number = self._count
            self._count += 1
            self.new.append(frame)
        self[frame] = number
        return number


class Stream:
    """One target's live stream and what was last reported of it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader = memray.SocketReader(self._port)
        self._stack_ids: dict[tuple[int, int, int], int] = {}
        self._stacks: dict[tuple[int, tuple[int, ...]], int] = {}
        self._frames = FrameNumbers()
        self._marker_keys: set[int] = set()
        self._last: set[Any] = set()
        self._live: dict[int, tuple[int, int]] = {}
        self._live_bytes = 0
        self._allocation_count = 0
        self._new_stacks = array.array("q")
        self._records: set[Any] = set()
        self._added: set[Any] = set()
        self._socket: socket.socket | None = None
        self.unmarked = False
        self._missing_count = 0
        self.connected = threading.Event()
        self.error: str | None = None
        threading.Thread(target=self._connect, daemon=True).start()

    def _connect(self) -> None:
        # In a thread: memray retries for ever, and only the end of this process stops it.
        try:
            self._reader.__enter__()
            self._socket = _socket_to(self._port)
        except Exception as problem:
            self.error = f"{type(problem).__name__}: {problem}"
        self.connected.set()

    @property
    def active(self) -> bool:
        """Whether records may still come."""
        return self.connected.is_set() and self.error is None and bool(self._reader.is_active)

    def take(
        self, marker_bytes: int | None, timeout_seconds: float, missing_seconds: float
    ) -> bool:
        """Hold the live heap still in memory; returns whether all up to the marker was seen.

        A target's own profile function takes the place of the tracer's, which from then on books
        all that is allocated on one stack: no marker is told by its own any more. One is missing
        when everything was read and nothing has changed for ``missing_seconds``.
        """
        still_since: float | None = None
        deadline = time.monotonic() + timeout_seconds
        self.connected.wait(timeout_seconds)
        if self.error is not None:
            raise OSError(self.error)
        while True:
            self._wait_until_drained(deadline)
            before = self._records
            self._records = set(self._reader.get_current_snapshot(merge_threads=True))
            # Sets of memray's records are compared in C: only changes are looked at one by one.
            self._added = self._records - self._last
            exact = marker_bytes is not None and self._has_marker(marker_bytes)
            late = time.monotonic() >= deadline
            if exact or marker_bytes is None or late or not self._reader.is_active:
                self._missing_count = 0
                return exact
            if still_since is None or self._records != before:
                still_since = time.monotonic()
            least_seconds = _STILL_SECONDS if self.unmarked else missing_seconds
            if time.monotonic() - still_since >= least_seconds:
                # Once may be a reader that did not get its turn.
                self._missing_count += 1
                self.unmarked = self._missing_count > 1
                return True
            time.sleep(_POLL_SECONDS)

    def changes(self) -> dict[str, Any]:
        """Compare the heap taken last with the one before; new stacks come with their frames.

        ``stacks`` is flat: allocator, number of frames, the frames' numbers, and so on; the stacks
        are numbered as they come, like the frames. ``changed``: stack, live bytes, allocations.
        """
        steps: dict[int, tuple[int, int]] = {}
        for sign, part in ((1, self._added), (-1, self._last - self._records)):
            for record in part:
                stack_id = self._identify(record)
                if stack_id != _DROPPED:
                    size, count = steps.get(stack_id, (0, 0))
                    steps[stack_id] = (
                        size + sign * record.size,
                        count + sign * record.n_allocations,
                    )
        self._last, self._records, self._added = self._records, set(), set()
        changed = array.array("q")
        for stack_id, step in steps.items():
            if step == (0, 0):
                continue
            size, count = self._live.pop(stack_id, (0, 0))
            figures = (size + step[0], count + step[1])
            self._live_bytes += step[0]
            self._allocation_count += step[1]
            if figures != (0, 0):
                self._live[stack_id] = figures
            changed.extend((stack_id, *figures))
        stacks, self._new_stacks = self._new_stacks, array.array("q")
        frames, self._frames.new = self._frames.new, []
        return {
            "live_bytes": self._live_bytes,
            "allocation_count": self._allocation_count,
            "stack_count": len(self._live),
            "frames": frames,
            "stacks": stacks,
            "changed": changed,
        }

    def close(self) -> None:
        """Stop reading."""
        if self._socket is not None:
            self._socket.close()
        if self.connected.is_set() and self.error is None:
            with contextlib.suppress(Exception):
                self._reader.__exit__(None, None, None)

    def _wait_until_drained(self, deadline: float) -> None:
        """Wait for the kernel's buffer to run empty: cheaper than walking the heap too early."""
        while self._socket is not None and time.monotonic() < deadline:
            waiting = fcntl.ioctl(self._socket, termios.FIONREAD, b"\0\0\0\0")
            if struct.unpack("i", waiting)[0] == 0:
                return
            time.sleep(_POLL_SECONDS)

    def _has_marker(self, marker_bytes: int) -> bool:
        for record in self._added:
            if 0 <= record.size - marker_bytes < MARKER_STEP_BYTES:
                self._identify(record)
                if record.stack_id in self._marker_keys:
                    return True
        return False

    def _identify(self, record: Any) -> int:
        key = (record.stack_id, record.native_stack_id, record.allocator)
        known = self._stack_ids.get(key)
        if known is not None:
            return known
        trace = (
            record.hybrid_stack_trace() if self._reader.has_native_traces else record.stack_trace()
        )
        if is_of_plugin(record.stack_trace(1)):
            self._stack_ids[key] = _DROPPED
            return _DROPPED
        frames = tuple(map(self._frames.__getitem__, trace))
        if min(frames, default=0) < 0:
            frames = tuple(number for number in frames if number != _WRAPPER)
        if min(frames, default=0) < 0:
            # What leaklab allocates in the target is not the target's.
            if _MARKER in frames:
                self._marker_keys.add(key[0])
            self._stack_ids[key] = _DROPPED
            return _DROPPED
        content = (int(record.allocator), frames)
        stack_id = self._stacks.get(content)
        if stack_id is None:
            stack_id = self._stacks[content] = len(self._stacks)
            self._new_stacks.extend((content[0], len(frames), *frames))
        self._stack_ids[key] = stack_id
        return stack_id


def is_of_plugin(trace: Sequence[Frame]) -> bool:
    """Return whether what repeats a test's body allocated for itself.

    By the innermost frame alone: all that the test allocates has been called from there too.
    """
    return any(_PLUGIN_FILE.search(file) for _, file, _ in trace[:1])


def _socket_to(port: int) -> socket.socket | None:
    """Return a copy of this process's socket that is connected to ``port``."""
    for name in (entry.name for entry in Path("/dev/fd").iterdir()):
        with contextlib.suppress(OSError, IndexError):
            if not stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
            copy = socket.socket(fileno=os.dup(int(name)))
            with contextlib.suppress(OSError, IndexError):
                if copy.getpeername()[1] == port:
                    return copy
            copy.close()
    return None


def serve(control: socket.socket) -> None:
    """Answer the recorder until it is gone."""
    streams: dict[int, Stream] = {}
    with contextlib.suppress(ConnectionError), control.makefile("rb") as requests:
        for line in requests:
            request = json.loads(line)
            reply, payload = _answer(request, streams, control)
            control.sendall(json.dumps(reply).encode() + b"\n" + payload)


def _answer(
    request: dict[str, Any], streams: dict[int, Stream], control: socket.socket
) -> tuple[dict[str, Any], bytes]:
    if request["op"] == "ping":
        return {}, b""
    number = request["stream"]
    try:
        if request["op"] == "open":
            streams[number] = Stream(request["port"])
            return {}, b""
        stream = streams[number]
        if request["op"] == "close":
            streams.pop(number).close()
            return {}, b""
        begun = time.thread_time()
        waits = request["timeout_seconds"], request["missing_seconds"]
        exact = stream.take(request["marker_bytes"], *waits)
        taken = {"exact": exact, "active": stream.active, "unmarked": stream.unmarked}
        control.sendall(json.dumps(taken).encode() + b"\n")
        found = stream.changes()
        stacks, changed = found.pop("stacks").tobytes(), found.pop("changed").tobytes()
        sizes = {"stacks_size": len(stacks), "changed_size": len(changed)}
        worked = {"worked_seconds": time.thread_time() - begun}
        return {**found, **sizes, **worked}, stacks + changed
    except Exception as problem:
        return {"error": f"{type(problem).__name__}: {problem}"}, b""


def main() -> None:
    """Serve on the inherited socket; ends hard, for memray's threads may never return."""
    # Ctrl-C in a terminal is the recorder's affair, also before it has ended the stream.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A snapshot is tens of thousands of objects, none in a cycle: looking for some among them
    # takes as long as making them.
    gc.disable()
    with socket.socket(fileno=int(sys.argv[1])) as control:
        serve(control)
    os._exit(0)


if __name__ == "__main__":
    main()
