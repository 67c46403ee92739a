"""The target's stdout and stderr: files it writes to, which the recorder follows.

Files and not pipes, because a pipe dies with the recorder: the target would be killed by SIGPIPE,
or wait for ever for a reader. A file takes its output whatever happens to us.
"""

from __future__ import annotations

import ctypes
import os
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path

TAIL_SIZE = 16_384
READ_SIZE = 1 << 18
# What a program says of its end may be followed by much that is said in tearing it down, such as a
# warning for each of a thousand connections; what was written longer before is another matter.
_TRACEBACK = b"Traceback (most recent call last):"
TEARDOWN_SECONDS = 2.0
# Output that was read is given back to the file system in pieces of this size.
PUNCH_SIZE = 16 << 20
_KEEP_SIZE_AND_PUNCH_HOLE = 0x01 | 0x02


class OutputFile:
    """One stream of the target: follows the file, keeps its tail, counts lines that match."""

    def __init__(
        self,
        path: Path,
        patterns: Iterable[re.Pattern[str]] = (),
        echo: Callable[[bytes], None] | None = None,
    ) -> None:
        self._path = path
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self.descriptor = os.open(path, flags, 0o600)
        self._read_size = 0
        self._punched_size = 0
        self._tail = b""
        self._traceback = b""
        self._traceback_seconds = self._written_seconds = 0.0
        self._partial = b""
        self._patterns = tuple(patterns)
        self._echo = echo
        self.last_line = ""

    def follow(self, limit_size: int = READ_SIZE * 16) -> int:
        """Read what came since the last call, up to ``limit_size``; returns the matching lines."""
        matches = 0
        while limit_size > 0:
            block = os.pread(self.descriptor, READ_SIZE, self._read_size)
            if not block:
                break
            limit_size -= len(block)
            self._read_size += len(block)
            self._keep(block)
            matches += self._count_matches(block)
            if self._echo is not None:
                self._echo(block)
        self._give_back()
        return matches

    @property
    def size_bytes(self) -> int:
        """Bytes the file takes on disk."""
        return os.fstat(self.descriptor).st_blocks * 512

    @property
    def tail(self) -> str:
        """The last part of what the target wrote, after the last traceback if that was just before.

        It was where it came as the target was torn down.
        """
        tail = self._tail
        just_before = self._written_seconds - self._traceback_seconds <= TEARDOWN_SECONDS
        if self._traceback and just_before and _TRACEBACK not in tail:
            tail = self._traceback + b"\n" + tail
        return tail.decode("utf-8", "replace")

    def close(self) -> None:
        """Read the rest and remove the file: its tail is in the run."""
        self.follow(limit_size=1 << 40)
        os.close(self.descriptor)
        self._path.unlink(missing_ok=True)

    def _keep(self, block: bytes) -> None:
        """Keep the end of what was written, and the beginning of the last traceback in it."""
        text, known_size = self._tail + block, len(self._tail)
        self._tail = text[-TAIL_SIZE:]
        self._written_seconds = time.monotonic()
        place = text.rfind(_TRACEBACK)
        if place >= 0:
            # The line before says whether it is of something that was ignored.
            begin = text.rfind(b"\n", 0, max(text.rfind(b"\n", 0, place), 0)) + 1
            self._traceback = text[begin : place + TAIL_SIZE]
            if place + len(_TRACEBACK) > known_size:
                self._traceback_seconds = self._written_seconds

    def _count_matches(self, block: bytes) -> int:
        lines = (self._partial + block).split(b"\n")
        self._partial = lines.pop()[-TAIL_SIZE:]
        if lines:
            last = next((line for line in reversed(lines) if line.strip()), b"")
            self.last_line = _plain(last) or self.last_line
        if not self._patterns:
            return 0
        texts = [line.decode("utf-8", "replace") for line in lines]
        return sum(any(pattern.search(text) for pattern in self._patterns) for text in texts)

    def _give_back(self) -> None:
        """Free the disk blocks of what was read: a target may print gigabytes."""
        if self._read_size - self._punched_size < PUNCH_SIZE:
            return
        length = (self._read_size - self._punched_size) // 4096 * 4096
        libc = ctypes.CDLL(None, use_errno=True)
        fallocate = getattr(libc, "fallocate64", None) or libc.fallocate
        fallocate(
            self.descriptor,
            _KEEP_SIZE_AND_PUNCH_HOLE,
            ctypes.c_int64(self._punched_size),
            ctypes.c_int64(length),
        )
        # A file system that cannot do it keeps the output until the end: nothing is lost.
        self._punched_size += length


def _plain(line: bytes) -> str:
    """Return a line to be shown in a terminal: what a target prints must not drive it."""
    text = line[:400].decode("utf-8", "replace")
    return "".join(character for character in text if character.isprintable())
