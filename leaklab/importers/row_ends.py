"""Rows of a table that end with a separator which the heading has not: an empty field more."""

from __future__ import annotations

import io
from typing import BinaryIO


def without_empty_last(row: str, separator: str, separators: int) -> str:
    """Return a row without an empty field behind its ``separators``, those of the heading.

    >>> without_empty_last("1,2,", ",", 1), without_empty_last("1,", ",", 1)
    ('1,2', '1,')
    """
    bare = row.rstrip("\r\n ")
    if not bare.endswith(separator) or bare.count(separator) != separators + 1:
        return row
    return bare.removesuffix(separator) + row[len(bare) :]


class EvenRows(io.RawIOBase):
    """A table whose rows have no empty field behind those of the heading."""

    def __init__(self, file: BinaryIO, separator: str, separators: int) -> None:
        self._file, self._separator, self._separators = file, separator, separators
        self._held = b""

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer; returns with how many bytes."""
        if not self._held:
            # A byte is a character here, whatever the encoding: separators are of ASCII.
            lines = (line.decode("latin-1") for line in self._file.readlines(len(buffer)))
            even = (without_empty_last(line, self._separator, self._separators) for line in lines)
            self._held = "".join(even).encode("latin-1")
        found, self._held = self._held[: len(buffer)], self._held[len(buffer) :]
        buffer[: len(found)] = found
        return len(found)
