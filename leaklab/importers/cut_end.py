"""The last line of a text whose writer was killed: half a figure is a figure, and a wrong one."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import BinaryIO

# So much of the end of a text tells what its lines are like.
TAIL_BYTES = 1 << 16
_BETWEEN = re.compile(rb"[,;|\t]|\s+")


def cut_bytes(tail: bytes) -> int:
    """Return how many bytes at the end of a text are a line that is cut; 0 for a whole one.

    A line without an end is whole where it has as many fields as two before it, of which one may be
    a heading, and the last is as long as there, or the same word.

    >>> cut_bytes(b"1,2097152\\n2,2097160\\n3,2097")
    6
    >>> cut_bytes(b"1,2097152\\n2,2097160\\n3,2097168")
    0
    """
    *before, last = tail.split(b"\n")
    if not last.strip() or not before:
        return 0
    fields, *rows = (_fields(line) for line in (last, *reversed(before)))
    ends = [row[-1] for row in rows if len(row) == len(fields)]
    is_whole = len(ends) > 1 and (len(fields[-1]) >= len(ends[0]) or fields[-1] in ends)
    return 0 if is_whole else len(last)


def _fields(line: bytes) -> list[bytes]:
    return _BETWEEN.split(line.lstrip().rstrip(b"\r"))


class FirstBytes(io.RawIOBase):
    """So many of the first bytes that are left in a file; ``told`` is called with how many were."""

    def __init__(
        self, file: BinaryIO, count: int, told: Callable[[int, int], None] | None = None
    ) -> None:
        self._file = file
        self._left = self._count = count
        self._told = told

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer; returns with how many bytes."""
        found = self._file.read(min(len(buffer), self._left))
        self._left -= len(found)
        buffer[: len(found)] = found
        if self._told is not None:
            self._told(self._count - self._left, self._count)
        return len(found)
