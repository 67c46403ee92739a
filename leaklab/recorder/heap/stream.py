"""Live heaps of traced processes: connect, note places, take exact snapshots there.

Two processes of leaklab's own do it: the relay drains the targets' streams (see relay.py), and the
reader follows (see reader.py). Whoever talks to a target asks the relay alone and never waits for
the reader; whoever takes the snapshots may be another thread (see follower.py).
"""

from __future__ import annotations

import array
import contextlib
import math
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaklab.errors import LeaklabError
from leaklab.probe.marker import marker_bytes
from leaklab.recorder.heap.helpers import Helper, Line
from leaklab.recorder.heap.stacks import ALLOCATORS, SourcePaths, StackTable

__all__ = ["HeapReader", "HeapSnapshot", "HeapStream", "SourcePaths", "StackTable"]

_READER = Path(__file__).with_name("reader.py")
_RELAY = Path(__file__).with_name("relay.py")


@dataclass(frozen=True)
class HeapSnapshot:
    """The live heap of one process at one moment.

    ``exact``: the marker was seen, so this is the heap at that mark to the byte. ``unmarked``: no
    marker is seen any more, nor any other line that allocates; nothing more came before the mark.
    ``changed``: (stack_id, live_bytes, allocation_count) of every stack that changed since the
    process's last snapshot; zeros for one that vanished. ``worked_seconds``: processor
    time of the reader for it.
    """

    live_bytes: int
    allocation_count: int
    stack_count: int
    exact: bool
    worked_seconds: float
    changed: list[tuple[int, int, int]]
    unmarked: bool = False


# A target on a busy machine is waited for so long.
_HEADER_SECONDS = 10.0
# Much longer than a thread of the reader waits for its turn.
_MISSING_SECONDS = 1.0
CONNECT_SECONDS = 5.0


class HeapReader:
    """The two processes that read the streams of a pass, and the lines to them.

    Killing the recorder leaves the relay draining until the targets are done. A reader that is
    lost costs the heaps of what it was reading; what comes after has another (see `restart`).
    """

    def __init__(self, spool_folder: str | None = None) -> None:
        folder = spool_folder or tempfile.gettempdir()
        self._relay = Helper("stream relay", [str(_RELAY), folder], 2)
        #: the relay's lines: of the thread that talks to the targets, and of the follower
        self.main_line, self.follower_line = self._relay.lines
        self._readers = [Helper("heap reader", [str(_READER)], 1)]
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
    def reader(self) -> Helper:
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
            self._readers.append(Helper("heap reader", [str(_READER)], 1))

    def request(self, message: dict[str, Any], **seconds: float) -> dict[str, Any]:
        """Ask the reader (see `Line.request`)."""
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
        self._line: Line | None = None
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

    def begin(self) -> Line:
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
                "missing_seconds": _MISSING_SECONDS,
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
            worked_seconds=found["worked_seconds"],
            changed=changed,
            unmarked=self._taken["unmarked"],
        )

    def check(self) -> None:
        """Raise LeaklabError when nobody reads this stream any more, where somebody did."""
        if self._line is not None:
            self._line.check()

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
