"""A large memray capture read once: replayed to the reader of live heaps.

memray's reader goes over a file twice, first for the samples of resident memory and then for the
heap. But the stream is the same in a file as on a socket: here it goes to heap_reader.py, and stops
for a snapshot at some of the memory records, which are found beforehand by what they look like.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from leaklab.errors import LeaklabError
from leaklab.recorder.captures.history import History
from leaklab.recorder.heap.stream import HeapReader, HeapStream, SourcePaths, StackTable

# Below this a second pass takes no longer than the start of another process.
LARGE_BYTES = 32 << 20
# A walk over a large heap takes long. When snapshots had to be left out to keep them below this
# time and this share of it all, and too few would remain, memray's history is the better way.
FREE_SECONDS = 2.0
SNAPSHOT_SHARE = 0.5
FEWEST_SNAPSHOTS = 50

# memray's default spacing; a capture that was cut off ends less than this after its last record.
MEMORY_INTERVAL_SECONDS = 0.01

# The format these records are known of: magic, then the version.
_HEADER = struct.pack("=7si", b"memray", 13)
_LZ4_FRAME = b"\x04\x22\x4d\x18"
# Type 2, then as base-128 numbers the resident set size (whole pages of 4 KiB, so its lowest
# twelve bits are zero) and the milliseconds since the start.
_MEMORY_RECORD = re.compile(
    rb"\x02\x80[\x80\xa0\xc0\xe0][\x80-\xff]{0,4}[\x01-\x7f][\x80-\xff]{0,5}[\x00-\x7f]"
)
_LONGEST_RECORD = 20
_BLOCK_SIZE = 1 << 18
# What waits here to be sent is not in the snapshot yet, so it must be little.
_UNSENT_SIZE = 1 << 16
_STALL_SECONDS = 60.0


@dataclass(frozen=True)
class MemoryRecord:
    """A sample of resident memory in a capture: where it stands in the stream, and what it says."""

    place: int
    seconds: float
    rss_bytes: int


def head(path: Path) -> bytes:
    """The first block of the stream in a capture, or of whatever else the file is."""
    return next(_blocks(path), b"")


def memory_records(path: Path) -> list[MemoryRecord] | None:
    """All memory records of a capture; None where its format is another one than is known here."""
    records: list[MemoryRecord] = []
    rest, place = b"", 0
    for block in itertools.chain(_blocks(path), [b""]):
        if place == 0 and not block.startswith(_HEADER):
            return None
        text = rest + block
        # One that may go on in the next block is found there.
        end = len(text) - _LONGEST_RECORD if block else len(text)
        found = (match for match in _MEMORY_RECORD.finditer(text) if match.start() < end)
        begin = place - len(rest)
        records += [_record(match.group(), begin + match.start()) for match in found]
        place += len(block)
        rest = text[max(end, 0) :]
    times = [record.seconds for record in records]
    # Whatever else looked like one would say any time.
    return records if records and times == sorted(times) else None


def _record(encoded: bytes, place: int) -> MemoryRecord:
    values, value, shift = [], 0, 0
    for byte in encoded[1:]:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            values.append(value)
            value = shift = 0
    return MemoryRecord(place, values[1] / 1000, values[0])


def _blocks(path: Path) -> Iterator[bytes]:
    """The stream in a capture, block by block, up to where it was cut off."""
    import pyarrow as pa

    with path.open("rb") as file:
        compressed = file.read(len(_LZ4_FRAME)) == _LZ4_FRAME
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(pa.OSFile(str(path), "rb"))
        if compressed:
            source = stack.enter_context(pa.CompressedInputStream(source, "lz4"))
        # A file that was not closed ends in the middle of a frame.
        with contextlib.suppress(OSError):
            while block := source.read(_BLOCK_SIZE):
                yield block


@dataclass(frozen=True)
class Replay:
    """What a capture told: seconds of each snapshot, and what changed there."""

    seconds: list[float]
    history: History


def replay(
    path: Path, records: list[MemoryRecord], stacks: StackTable, *, to_end: bool
) -> Replay | None:
    """The heap at ``records``, and at the end of the file where it counts (``to_end``).

    None where the heap is too large for enough snapshots in a reasonable time. Raises LeaklabError
    where the reader fails.
    """
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        server.settimeout(_STALL_SECONDS)
        reader = HeapReader()
        stack.callback(reader.close)
        # memray's reader lets nobody else run while it waits for the header, not even to say that
        # it has begun: what opens it must not be what sends.
        pool = stack.enter_context(ThreadPoolExecutor(1))
        port = server.getsockname()[1]
        opening = pool.submit(reader.open, port, stacks, SourcePaths(str(Path.cwd())))
        try:
            sink, _ = server.accept()
            server.close()
            stack.callback(sink.close)
            sink.settimeout(_STALL_SECONDS)
            sink.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNSENT_SIZE)
            blocks = _blocks(path)
            first = next(blocks)
            place = min(records[0].place, len(first))
            sink.sendall(first[:place])
            snapshots = _Snapshots(opening.result(), records)
            for block in itertools.chain([first[place:]], blocks):
                for part in snapshots.parts(block, place):
                    sink.sendall(part)
                if snapshots.hopeless:
                    return None
                if snapshots.complete and not to_end:
                    break
                place += len(block)
            if to_end:
                snapshots.take(records[-1].seconds + MEMORY_INTERVAL_SECONDS)
        except OSError as problem:
            raise LeaklabError(f"the capture cannot be replayed: {problem}") from None
        return snapshots.result()


class _Snapshots:
    """Takes the snapshots of a replay, where they are due and may be paid for."""

    def __init__(self, heap: HeapStream, records: list[MemoryRecord]) -> None:
        self._heap = heap
        self._due = records
        self._next = 0
        self._begun = time.monotonic()
        self._spent_seconds = 0.0
        self._seconds: list[float] = []
        self._rows: list[tuple[int, int, int, int]] = []

    @property
    def complete(self) -> bool:
        """Whether no more are due."""
        return self._next == len(self._due)

    @property
    def hopeless(self) -> bool:
        """Whether so many were left out that too few are to be expected."""
        wanted = min(FEWEST_SNAPSHOTS, len(self._due))
        return len(self._seconds) < wanted * self._next / len(self._due) - 5

    def parts(self, block: bytes, place: int) -> Iterator[bytes]:
        """The block in parts, with a snapshot after each but the last."""
        sent = 0
        while self._next < len(self._due) and self._due[self._next].place < place + len(block):
            record = self._due[self._next]
            self._next += 1
            allowed = max(FREE_SECONDS, SNAPSHOT_SHARE * (time.monotonic() - self._begun))
            if self._spent_seconds > allowed and not self.complete:
                continue
            end = max(record.place - place, sent)
            yield block[sent:end]
            sent = end
            self.take(record.seconds)
        yield block[sent:]

    def take(self, seconds: float) -> None:
        """Take one for this moment of the capture."""
        begun = time.monotonic()
        if not self._seconds and self._heap.connect(_STALL_SECONDS) is None:
            raise LeaklabError("the capture cannot be replayed: somebody else reads the stream")
        self._heap.take(None, _STALL_SECONDS, drained=True)
        found = self._heap.finish()
        snapshot = len(self._seconds)
        self._rows += [(stack, snapshot, size, count) for stack, size, count in found.changed]
        self._seconds.append(seconds)
        self._spent_seconds += time.monotonic() - begun

    def result(self) -> Replay:
        """What was taken."""
        import numpy as np

        rows = np.array(self._rows, np.int64).reshape(-1, 4)
        return Replay(self._seconds, History(*rows.T))
