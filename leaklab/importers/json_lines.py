"""JSON lines, or one JSON array of records: one object a moment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import compress, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from leaklab.errors import LeaklabError
from leaklab.importers.json_array import values_of
from leaklab.importers.reading import Options, Reading, Source
from leaklab.importers.table import read_table
from leaklab.importers.thinned import PART_ROWS, note, thinned

if TYPE_CHECKING:
    import pandas as pd

NAME = "jsonl"
KIND = "\0kind"


def recognise(source: Source) -> bool:
    """Return whether the file begins with an object on its first line, or an array of objects."""
    lines = [line.strip() for line in source.first_lines[:5] if line.strip()]
    if not lines:
        return False
    if lines[0].startswith("["):
        return "{" in "".join(lines)[:10]
    if not lines[0].startswith("{"):
        return False
    try:
        return isinstance(json.loads(lines[0]), dict) and len(lines) > 1
    except ValueError:
        return False


def read(source: Source, options: Options) -> Reading:
    """Read the records; nested objects become columns as ``memory.rss``."""
    parts = _Parts(source)
    frame, step = thinned(parts, options.time, group=options.group, kind=KIND)
    reading = read_table(frame, options, title="JSON lines", path=source.path)
    reading.notes += note(step)
    if parts.skipped:
        reading.notes.append(f"{parts.skipped} lines are no JSON and were left out")
    return reading


class _Parts:
    """The records of a file of any length, part by part; ``skipped``: lines that are none."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.skipped = 0

    def __iter__(self) -> Iterator[pd.DataFrame]:
        records = self._records()
        while part := list(islice(records, PART_ROWS)):
            yield table_of(part)

    def _records(self) -> Iterator[dict[str, Any]]:
        if self._source.head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
            try:
                for row in values_of(self._source.parts()):
                    if isinstance(row, dict):
                        yield row
            except ValueError as error:
                raise LeaklabError(f"damaged JSON: {self._source.path}; {error}") from None
            return
        for line in self._source.lines(of_lines=False):
            try:
                row = json.loads(line) if line.strip() else None
            except ValueError:
                self.skipped += 1  # the last line of a process that was killed
                continue
            if isinstance(row, dict):
                yield row


def table_of(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Return records as a table, with what each of them tells in the column ``KIND``.

    A log has lines of many kinds.
    """
    import pandas as pd

    frame = pd.json_normalize(records)
    for name in frame.columns:
        if (
            frame[name].dtype.kind == "O"
            and frame[name].map(lambda cell: isinstance(cell, list)).any()
        ):
            frame[name] = frame[name].astype("string")
    told = frame.notna().to_numpy()
    kinds, which = np.unique(told, axis=0, return_inverse=True)
    names = np.array([",".join(compress(frame.columns, kind)) for kind in kinds], object)
    frame[KIND] = names[which.ravel()]
    return frame
