"""The process between the targets' memray streams and their reader: no target waits for the reader.

Each stream is drained at once into a bounded spool, a file without a name that gives back what was
read; the reader is handed it at its own pace. A place in the stream is a count of its bytes: there
the handing on stops until the recorder says that the heap was looked at. Without the recorder,
or when a stream is dropped, it is drained to nobody, so that no target ever meets a dead stream.

Run as a file with the folder of the spools and the numbers of connected Unix sockets; speaks lines
of JSON on each, one answer to a request, when there is one. Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import json
import math
import os
import select
import signal
import socket
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

_BLOCK_SIZE = 1 << 20
# A target that sends 4 kB at a time need not wake anybody up each time.
_WAKE_SIZE = 1 << 16
# So much of what was read is given back to the disk at once.
_PUNCH_SIZE = 1 << 24
_KEEP_SIZE_PUNCH_HOLE = 0x03
# Before the recorder has said how much may wait.
_LIMIT_BYTES = 1 << 30
_libc = ctypes.CDLL(None, use_errno=True)

Answer = Callable[[dict[str, Any]], None]


class Spool:
    """What has come of a stream and was not handed on yet; offsets count the stream's bytes."""

    def __init__(self, folder: str) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed with the stream)
        self._given_back = 0
        self.begin = 0
        self.end = 0

    @property
    def size(self) -> int:
        """How much is waiting."""
        return self.end - self.begin

    def append(self, block: memoryview) -> None:
        """Take in more; raises OSError when the disk is full."""
        while block:
            size = os.pwrite(self._file.fileno(), block, self.end)
            self.end += size
            block = block[size:]

    def hand_on(self, sink: socket.socket, end: int) -> None:
        """Send what is there before ``end``, as much as ``sink`` takes now; raises OSError."""
        count = min(end - self.begin, _BLOCK_SIZE)
        self.begin += sink.send(os.pread(self._file.fileno(), count, self.begin))
        if self.begin - self._given_back >= _PUNCH_SIZE:
            # Where holes cannot be punched, the file goes when the stream does.
            _libc.fallocate(
                self._file.fileno(),
                _KEEP_SIZE_PUNCH_HOLE,
                ctypes.c_longlong(self._given_back),
                ctypes.c_longlong(self.begin - self._given_back),
            )
            self._given_back = self.begin

    def close(self) -> None:
        """Give all of it back."""
        self._file.close()


class Stream:
    """One target's stream: where it comes from, what waits, whom it goes to."""

    def __init__(self, port: int, folder: str, capture_path: str | None) -> None:
        self.spool = Spool(folder)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.setblocking(False)
        self.sink: socket.socket | None = None
        self.source: socket.socket | None = None
        # Who listens no more has its reader already, and that is somebody else.
        with contextlib.suppress(OSError):
            self.source = socket.create_connection(("127.0.0.1", port), timeout=5.0)
            self.source.setblocking(False)
        self.capture = Path(capture_path).open("xb", 0) if capture_path else None  # noqa: SIM115
        self.places: deque[int] = deque()
        self.dropped = False
        self.held_seconds = 0.0
        self._full_since: float | None = None
        self._wake_size = 1
        self.why_over = "its stream has ended: the target has closed it"
        # Answers that are owed once so many bytes have come, or were handed on, or at a time.
        self.owed: list[tuple[str, int, Answer, float]] = []

    @property
    def hand_on_end(self) -> int:
        """How far the reader may have it."""
        return self.places[0] if self.places else self.spool.end

    @property
    def hands_on(self) -> bool:
        """Whether there is something that the reader may have."""
        return self.sink is not None and self.spool.begin < self.hand_on_end

    def wants(self, limit_bytes: int) -> bool:
        """Whether to read on; a target whose spool is full waits, and that is timed."""
        if self.source is None:
            return False
        urgent = any(what == "come" and count > self.spool.end for what, count, *_ in self.owed)
        full = not (self.dropped or urgent) and self.spool.size >= limit_bytes
        now = time.monotonic()
        if self._full_since is not None:
            self.held_seconds += now - self._full_since
        self._full_since = now if full else None
        wake_size = 1 if urgent or self.spool.end == 0 else _WAKE_SIZE
        if wake_size != self._wake_size:
            self._wake_size = wake_size
            self.source.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, wake_size)
        return not full

    def drain(self, buffer: memoryview) -> bool:
        """Read what has come by now, at most a block; returns whether something had."""
        if self.source is None:
            return False
        try:
            size = self.source.recv_into(buffer)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            size = 0
        if size == 0:
            self.source.close()
            self.source = None
            return False
        block = buffer[:size]
        if self.capture is not None:
            with contextlib.suppress(OSError):  # a full disk costs the copy, not the run
                self.capture.write(block)
        if self.dropped:
            return True
        try:
            self.spool.append(block)
        except OSError as problem:
            self.drop(f"no room for what its stream tells: {problem.strerror}")
        return True

    def place(self, count: int | None, buffer: memoryview, answer: Answer) -> None:
        """Stop the handing on after ``count`` bytes, or after what there is by now.

        The answer is owed until they have come: then the target may go on.
        """
        while (count is None or self.spool.end < count) and self.drain(buffer):
            pass
        if count is None:
            count = self.spool.end
        # Another thread of the target may have sent more, which the reader has got already.
        place = max(count, self.spool.begin)
        self.places.append(place)
        self.owe("come", place, answer)

    def go_on(self, count: int) -> None:
        """Hand on what comes after the place at ``count``."""
        with contextlib.suppress(ValueError):
            self.places.remove(count)

    def hand_on(self) -> None:
        """Send the reader what it takes."""
        if not self.hands_on or self.sink is None:
            return
        try:
            self.spool.hand_on(self.sink, self.hand_on_end)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.drop("nobody reads its stream")

    def drop(self, why: str) -> None:
        """Hand nothing on any more; what still comes is read and forgotten."""
        self.dropped = True
        self.why_over = why
        self.places.clear()
        self.close_sink()
        self.spool.close()

    def close_sink(self) -> None:
        """Let the reader see the end of the stream."""
        self.server.close()
        if self.sink is not None:
            self.sink.close()
            self.sink = None

    def owe(self, what: str, count: int, answer: Answer, until: float = math.inf) -> None:
        """Answer once ``count`` bytes have "come" or the reader was handed them ("reach")."""
        self.owed.append((what, count, answer, until))

    def settle(self) -> None:
        """Give the answers that can be given now."""
        due, self.owed = self.owed, []
        for what, count, answer, until in due:
            reached = self.spool.end if what == "come" else self.spool.begin
            if reached >= count and not self.dropped:
                answer({"bytes": count})
            elif self.dropped or (self.source is None and self.spool.end < count):
                answer({"bytes": None, "why": self.why_over})
            elif time.monotonic() >= until:
                answer({"bytes": None, "why": "nothing has come"})
            else:
                self.owed.append((what, count, answer, until))

    @property
    def is_awaited(self) -> bool:
        """Whether the reader has still to connect."""
        return self.sink is None and not self.dropped and self.server.fileno() >= 0

    def accept(self) -> None:
        """Take the reader's connection, the only one there is."""
        with contextlib.suppress(OSError):
            self.sink, _ = self.server.accept()
            self.sink.setblocking(False)
            self.sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to read or to hand on."""
        return self.source is None and (self.dropped or self.spool.size == 0)

    def close(self) -> None:
        """Release everything."""
        self.drop(self.why_over)
        for one in (self.source, self.capture):
            if one is not None:
                one.close()


class Relay:
    """All streams of one reader, and the lines to the recorder's threads."""

    def __init__(self, folder: str, lines: list[socket.socket]) -> None:
        self._folder = folder
        self._lines = {line.fileno(): _Line(line) for line in lines}
        self._streams: dict[int, Stream] = {}
        self._buffer = memoryview(bytearray(_BLOCK_SIZE))
        self._limit_bytes = _LIMIT_BYTES

    def run(self) -> None:
        """Serve until the recorder is gone, then drain what is left to nobody."""
        while self._lines or any(stream.source for stream in self._streams.values()):
            poll, actions = self._arranged()
            for number, _ in poll.poll(self._pause_milliseconds()):
                actions[number]()
            for number, stream in list(self._streams.items()):
                stream.settle()
                if stream.is_over:
                    stream.close_sink()
                    if stream.dropped:
                        self._streams.pop(number).close()

    def _pause_milliseconds(self) -> float | None:
        """Return when the next answer is due whatever comes; None where there is none."""
        until = min((o[3] for s in self._streams.values() for o in s.owed), default=math.inf)
        return None if until == math.inf else max(0.0, until - time.monotonic()) * 1000 + 1

    def _arranged(self) -> tuple[select.poll, dict[int, Callable[[], object]]]:
        """Return what to wait for, and what to do then: what each stream can do now, no more."""
        poll = select.poll()
        actions: dict[int, Callable[[], object]] = {}

        def wait(number: int, event: int, action: Callable[[], object]) -> None:
            poll.register(number, event)
            actions[number] = action

        for number in self._lines:
            wait(number, select.POLLIN, functools.partial(self._hear, number))
        for stream in self._streams.values():
            if stream.wants(self._limit_bytes) and stream.source is not None:
                drain = functools.partial(stream.drain, self._buffer)
                wait(stream.source.fileno(), select.POLLIN, drain)
            if stream.hands_on and stream.sink is not None:
                wait(stream.sink.fileno(), select.POLLOUT, stream.hand_on)
            if stream.is_awaited:
                wait(stream.server.fileno(), select.POLLIN, stream.accept)
        return poll, actions

    def _hear(self, number: int) -> None:
        line = self._lines.get(number)
        requests = line.receive() if line is not None else None
        if line is None or requests is None:
            self._lines.clear()
            for stream in self._streams.values():
                stream.drop("nobody reads its stream")
            return
        for request in requests:
            try:
                self._answer(request, line.answer)
            except (OSError, ValueError, KeyError) as problem:
                line.answer({"error": f"{type(problem).__name__}: {problem}"})

    def _answer(self, request: dict[str, Any], answer: Answer) -> None:
        streams, operation = self._streams, request["op"]
        if operation == "limit":
            disk = os.statvfs(self._folder)
            self._limit_bytes = min(request["bytes"], disk.f_bavail * disk.f_frsize // 2)
            held_seconds = max((stream.held_seconds for stream in streams.values()), default=0.0)
            waiting_bytes = sum(stream.spool.size for stream in streams.values())
            answer({"held_seconds": held_seconds, "waiting_bytes": waiting_bytes})
            return
        if operation == "open":
            stream = Stream(request["port"], self._folder, request["capture_path"])
            streams[request["stream"]] = stream
            answer({"port": stream.server.getsockname()[1]})
            return
        known = streams.get(request["stream"])
        if known is None:
            answer({"bytes": None, "why": "its stream has ended: the target has closed it"})
        elif operation == "come":
            known.owe("come", 1, answer, time.monotonic() + request["timeout_seconds"])
        elif operation == "place":
            known.place(request["bytes"], self._buffer, answer)
        elif operation == "reach":
            known.owe("reach", request["bytes"], answer)
        elif operation == "go on":
            known.go_on(request["bytes"])
            answer({})
        elif operation == "drop":
            known.drop("nobody reads its stream")
            answer({})


class _Line:
    """One line to a thread of the recorder."""

    def __init__(self, line: socket.socket) -> None:
        self._socket = line
        self._received = b""

    def receive(self) -> list[dict[str, Any]] | None:
        """Return the requests that have come; None when the recorder is gone."""
        try:
            block = self._socket.recv(_BLOCK_SIZE)
        except OSError:
            block = b""
        if not block:
            return None
        *lines, self._received = (self._received + block).split(b"\n")
        return [json.loads(line) for line in lines]

    def answer(self, reply: dict[str, Any]) -> None:
        """Answer one request; harmless when nobody is there."""
        with contextlib.suppress(OSError):
            self._socket.sendall(json.dumps(reply).encode() + b"\n")


def main() -> None:
    """Serve on the inherited sockets."""
    # Ctrl-C in a terminal is the recorder's affair, also before it has ended the stream.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Relay(sys.argv[1], [socket.socket(fileno=int(number)) for number in sys.argv[2:]]).run()


if __name__ == "__main__":
    main()
