"""Live heaps of traced processes: connect, note places, take exact snapshots there.

Two processes of leaklab's own do it: the relay drains the targets' streams (see relay.py), and the
reader follows (see reader.py). Whoever talks to a target asks the relay alone and never waits for
the reader; whoever takes the snapshots may be another thread (see follower.py).
"""

from __future__ import annotations

import array
import contextlib
import json
import math
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaklab.errors import LeaklabError
from leaklab.probe.marker import marker_bytes
from leaklab.recorder.heap.stacks import ALLOCATORS, SourcePaths, StackTable
from leaklab.recorder.procfs import ProcessFiles

__all__ = ["HeapReader", "HeapSnapshot", "HeapStream", "SourcePaths", "StackTable"]

_READER = Path(__file__).with_name("reader.py")
_RELAY = Path(__file__).with_name("relay.py")
# A reader that works uses the processor: one that has used none for so long hangs.
_STALL_SECONDS = 5.0
# What one that works may take beyond what it was asked to wait for. Ten million live blocks of a
# hundred thousand stacks: about 3 s to walk over them, about 10 s to compare and tell them.
_WALK_SECONDS = 60.0
# So often it is looked whether it works.
_LOOK_SECONDS = 0.5
_BLOCK_SIZE = 1 << 20


@dataclass(frozen=True)
class HeapSnapshot:
    """The live heap of one process at one moment.

    ``exact``: the marker was seen, so this is the heap at that mark to the byte.
    ``changed``: (stack_id, live_bytes, allocation_count) of every stack that changed since the
    process's last snapshot; zeros for one that vanished. ``cost_seconds``: how long the target's
    stream was held.
    """

    live_bytes: int
    allocation_count: int
    stack_count: int
    exact: bool
    cost_seconds: float
    changed: list[tuple[int, int, int]]


# A target on a busy machine is waited for so long.
_HEADER_SECONDS = 10.0
CONNECT_SECONDS = 5.0


class _Patience:
    """Decides how much longer a helper is waited for.

    ``asked_seconds``: how long what it was asked for may take; ``idle_seconds``: how much of that
    it may spend waiting. Looks are counted, not seconds, so that a machine which was stopped for a
    while (suspended, or its control group frozen) does not make it look idle.
    """

    def __init__(self, helper: _Helper, asked_seconds: float, idle_seconds: float) -> None:
        self.helper = helper
        self._limit_seconds = asked_seconds + _WALK_SECONDS
        self._idle_look_limit = (idle_seconds + _STALL_SECONDS) / _LOOK_SECONDS
        self._begun = time.monotonic()
        self._idle_look_count = 0
        self._cpu_seconds: float | None = None

    def why_no_longer(self) -> str | None:
        """Say, after another look, why not to wait any longer; None while that makes sense."""
        before, self._cpu_seconds = self._cpu_seconds, self.helper.files.cpu_seconds()
        # Where the processor time is not told, only the limit ends the waiting.
        idle = before is not None and before == self._cpu_seconds
        self._idle_look_count = self._idle_look_count + 1 if idle else 0
        if self._idle_look_count >= self._idle_look_limit:
            return f"it hangs, idle for {self._idle_look_count * _LOOK_SECONDS:g} s"
        if time.monotonic() - self._begun > self._limit_seconds:
            return f"it is still busy after {self._limit_seconds:g} s"
        return None


class _Helper:
    """A process of leaklab's own, asked through lines: one for each thread that asks.

    One that hangs is killed; whoever asks it later is told so at once.
    """

    def __init__(self, name: str, words: Sequence[str], line_count: int) -> None:
        pairs = [socket.socketpair() for _ in range(line_count)]
        numbers = [theirs.fileno() for _, theirs in pairs]
        self._name = name
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the helper)
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", "-P", *words, *map(str, numbers)],
                pass_fds=numbers,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                start_new_session=True,
            )
        finally:
            for _, theirs in pairs:
                theirs.close()
        self.files = ProcessFiles(self.process.pid, even_if_gone=True)
        self.why_lost: str | None = None
        self.lines = [_Line(self, ours) for ours, _ in pairs]

    @property
    def is_alive(self) -> bool:
        """Whether it can still be asked."""
        return self.why_lost is None and self.process.poll() is None

    def lost(self, why: str | None = None) -> LeaklabError:
        """Give it up; ``why`` where it still runs, else its last word says how it ended."""
        if self.why_lost is None:
            if why is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(timeout=1.0)
                self._errors.seek(0)
                words = self._errors.read().decode("utf-8", "replace").strip().splitlines()
                how = f"exit status {self.process.returncode}"
                text = f"the {self._name} is gone: {' | '.join(words) if words else how}"
            else:
                text = f"the {self._name} does not answer: {why}"
            self.process.kill()
            self.why_lost = f"{text}; record again"
        return LeaklabError(self.why_lost)

    def close(self) -> None:
        """End the process; harmless when it is gone."""
        for line in self.lines:
            line.close()
        try:
            self.process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.files.close()
        self._errors.close()


class _Line:
    """One line to a helper: requests and replies in JSON, and raw integers after some."""

    def __init__(self, helper: _Helper, line: socket.socket) -> None:
        self.helper = helper
        line.settimeout(_LOOK_SECONDS)
        self._socket = line
        self._received = bytearray()
        self._heard_seconds = time.monotonic()

    def request(
        self,
        message: dict[str, Any],
        *,
        asked_seconds: float = 0.0,
        idle_seconds: float = 0.0,
        waits_for: _Helper | None = None,
    ) -> dict[str, Any]:
        """Send one request and return its reply; raises LeaklabError when the helper is lost.

        ``asked_seconds``: how long it was asked to wait for the target at most, and
        ``idle_seconds``: how much of that without a look. ``waits_for``: the helper whose work is
        waited for, where it is another one.
        """
        if self.helper.why_lost is not None:
            raise self.helper.lost()
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            raise self.helper.lost() from None
        return self.reply(asked_seconds, idle_seconds, waits_for)

    def reply(
        self,
        asked_seconds: float = 0.0,
        idle_seconds: float = 0.0,
        waits_for: _Helper | None = None,
    ) -> dict[str, Any]:
        """Return the next reply; raises LeaklabError when there is none."""
        patience = _Patience(waits_for or self.helper, asked_seconds, idle_seconds)
        searched_size = 0
        while (size := self._received.find(b"\n", searched_size) + 1) == 0:
            searched_size = len(self._received)
            self._receive(patience)
        answer: dict[str, Any] = json.loads(self._cut(size))
        if answer.get("error"):
            raise LeaklabError(f"the heap stream cannot be read: {answer['error']}")
        return answer

    def payload(self, size: int) -> array.array[int]:
        """Return the raw integers that follow a reply; raises LeaklabError when it is lost."""
        patience = _Patience(self.helper, asked_seconds=0.0, idle_seconds=0.0)
        while len(self._received) < size:
            self._receive(patience)
        numbers = array.array("q")
        numbers.frombytes(self._cut(size))
        return numbers

    def check(self) -> None:
        """Raise LeaklabError when the helper is lost, or does not answer any more."""
        if self.helper.why_lost or time.monotonic() - self._heard_seconds >= _LOOK_SECONDS:
            self.request({"op": "ping"})

    def _receive(self, patience: _Patience) -> None:
        """Wait for more of a reply; raises LeaklabError when the helper is lost."""
        while True:
            try:
                block = self._socket.recv(_BLOCK_SIZE)
                break
            except TimeoutError:
                why = patience.why_no_longer()
                if why is not None:
                    raise patience.helper.lost(why) from None
            except OSError:
                raise self.helper.lost() from None
        if not block:
            raise self.helper.lost()
        self._received += block
        self._heard_seconds = time.monotonic()

    def _cut(self, size: int) -> bytes:
        block = bytes(self._received[:size])
        del self._received[:size]
        return block

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


class HeapReader:
    """The two processes that read the streams of a pass, and the lines to them.

    Killing the recorder leaves the relay draining until the targets are done. A reader that is
    lost costs the heaps of what it was reading; what comes after has another (see `restart`).
    """

    def __init__(self, spool_folder: str | None = None) -> None:
        folder = spool_folder or tempfile.gettempdir()
        self._relay = _Helper("stream relay", [str(_RELAY), folder], 2)
        #: the relay's lines: of the thread that talks to the targets, and of the follower
        self.main_line, self.follower_line = self._relay.lines
        self._readers = [_Helper("heap reader", [str(_READER)], 1)]
        self._stream_count = 0

    def open(
        self, port: int, stacks: StackTable, paths: SourcePaths, capture_path: Path | None = None
    ) -> HeapStream:
        """Connect to the stream a target serves on ``port``; call this once it listens.

        ``capture_path``: also write the stream there, as the plain capture file memray reads.
        """
        self._stream_count += 1
        number = self._stream_count
        capture = str(capture_path) if capture_path else None
        request = {"op": "open", "stream": number, "port": port, "capture_path": capture}
        found = self.main_line.request(request, asked_seconds=CONNECT_SECONDS)
        return HeapStream(self, number, stacks, paths, found["port"])

    def limit(self, spool_bytes: int) -> dict[str, Any]:
        """Say how much may wait for the reader; returns how much does, and who was held.

        Keys: ``waiting_bytes`` in all, ``held_seconds`` of the target that was held longest
        because its spool was full. Raises LeaklabError when the relay is lost.
        """
        return self.main_line.request({"op": "limit", "bytes": spool_bytes})

    @property
    def reader(self) -> _Helper:
        """The process that reads now."""
        return self._readers[-1]

    @property
    def _process(self) -> subprocess.Popen[bytes]:
        return self.reader.process

    @property
    def is_alive(self) -> bool:
        """Whether it can still be asked to read another stream."""
        return self.relays and self.reader.is_alive

    @property
    def relays(self) -> bool:
        """Whether streams are drained: then a reader can be started anew."""
        return self._relay.is_alive

    def restart(self) -> None:
        """Start another reader in place of one that is lost."""
        if not self.reader.is_alive:
            self._readers.append(_Helper("heap reader", [str(_READER)], 1))

    def request(self, message: dict[str, Any], **seconds: float) -> dict[str, Any]:
        """Ask the reader (see `_Line.request`)."""
        return self.reader.lines[0].request(message, **seconds)  # type: ignore[arg-type]

    def reply(self) -> dict[str, Any]:
        """Return the reader's next reply."""
        return self.reader.lines[0].reply()

    def payload(self, size: int) -> array.array[int]:
        """Return the raw integers that follow a reply."""
        return self.reader.lines[0].payload(size)

    def check(self) -> None:
        """Raise LeaklabError when the reader is lost, or does not answer any more."""
        self.reader.lines[0].check()

    def close(self) -> None:
        """End both processes; harmless when they are gone."""
        for helper in (self._relay, *self._readers):
            helper.close()


class HeapStream:
    """The live heap of one traced process."""

    def __init__(
        self,
        reader: HeapReader,
        number: int,
        stacks: StackTable,
        paths: SourcePaths,
        port: int = 0,
    ) -> None:
        self.number = number
        self.active = True
        self._reader = reader
        self._port = port
        self._line: _Line | None = None
        self._stacks = stacks
        self._paths = paths
        self._stack_ids: list[int] = []
        self._frame_ids: list[int] = []
        self._taken: dict[str, Any] = {}
        self._at_place = False

    def connect(self, timeout_seconds: float) -> int | None:
        """Wait until the stream's header has come; returns its size, None on timeout."""
        request = {"op": "come", "stream": self.number, "timeout_seconds": timeout_seconds}
        found = self._reader.main_line.request(
            request, asked_seconds=timeout_seconds, idle_seconds=timeout_seconds
        )["bytes"]
        return None if found is None else int(found)

    def place(self, position: int | None) -> int:
        """Stop what the reader is handed at a place of the stream; after that the target may go on.

        ``position``: how many bytes the target has sent; None for what has come by now. Returns the
        place; raises LeaklabError when the stream has ended before.
        """
        request = {"op": "place", "stream": self.number, "bytes": position}
        return self._place_of(self._reader.main_line.request(request))

    def reach(self, place: int) -> None:
        """Wait until the reader was handed all before ``place``, however long it takes to read."""
        request = {"op": "reach", "stream": self.number, "bytes": place}
        line = self.begin()
        # Of the two it is the reader that works then.
        found = self._reader.follower_line.request(
            request, asked_seconds=math.inf, waits_for=line.helper
        )
        if found["bytes"] is None:
            line.check()
        self._place_of(found)
        self._at_place = True

    def go_on(self, place: int) -> None:
        """Hand the reader what comes after ``place``."""
        self._at_place = False
        request = {"op": "go on", "stream": self.number, "bytes": place}
        self._reader.follower_line.request(request)

    @staticmethod
    def _place_of(found: dict[str, Any]) -> int:
        if found["bytes"] is None:
            raise LeaklabError(found["why"])
        return int(found["bytes"])

    def begin(self) -> _Line:
        """Let the reader connect, where it has not; returns the line to it."""
        if self._line is None:
            self._reader.restart()
            line = self._reader.reader.lines[0]
            # memray lets no other thread of the reader run while it waits for the stream's header.
            line.request(
                {"op": "open", "stream": self.number, "port": self._port},
                asked_seconds=_HEADER_SECONDS,
                idle_seconds=_HEADER_SECONDS,
            )
            self._line = line
        return self._line

    def take(self, barrier_number: int | None, timeout_seconds: float) -> None:
        """Hold the heap still in the reader; after that it may be handed more.

        Without a place that was reached it is the heap of now, of a target that waits.
        """
        if not self._at_place:
            self.go_on(self.place(None))
        size = None if barrier_number is None else marker_bytes(barrier_number)
        self._taken = self.begin().request(
            {
                "op": "snapshot",
                "stream": self.number,
                "marker_bytes": size,
                "timeout_seconds": timeout_seconds,
            },
            asked_seconds=timeout_seconds,
        )
        self.active = self._taken["active"]

    def finish(self) -> HeapSnapshot:
        """Return what the last ``take`` held, as changes since the snapshot before."""
        line = self.begin()
        found = line.reply()
        new_stacks = line.payload(found["stacks_size"])
        triples = iter(line.payload(found["changed_size"]))
        for frame in found["frames"]:
            self._frame_ids.append(self._stacks.frame(*frame, paths=self._paths))
        self._add_stacks(new_stacks)
        changed = [
            (self._stack_ids[local_id], size, count)
            for local_id, size, count in zip(triples, triples, triples, strict=True)
        ]
        return HeapSnapshot(
            live_bytes=found["live_bytes"],
            allocation_count=found["allocation_count"],
            stack_count=found["stack_count"],
            exact=self._taken["exact"],
            cost_seconds=self._taken["cost_seconds"],
            changed=changed,
        )

    def check(self) -> None:
        """Raise LeaklabError when nobody reads this stream any more."""
        self.begin().check()

    def _add_stacks(self, flat: array.array[int]) -> None:
        place = 0
        while place < len(flat):
            allocator, length = flat[place], flat[place + 1]
            frames = flat[place + 2 : place + 2 + length]
            frame_ids = tuple(map(self._frame_ids.__getitem__, frames))
            name = ALLOCATORS.get(allocator, str(allocator))
            self._stack_ids.append(self._stacks.add_numbered(name, frame_ids))
            place += 2 + length

    def close(self) -> None:
        """Stop reading this stream; harmless when the reader is gone."""
        self.active = False
        with contextlib.suppress(LeaklabError):
            self._reader.follower_line.request({"op": "drop", "stream": self.number})
        if self._line is not None:
            with contextlib.suppress(LeaklabError):
                self._line.request({"op": "close", "stream": self.number})
