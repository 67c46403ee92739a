"""JSON lines, or one JSON array of records: one object a moment."""

from __future__ import annotations

import json

from leaklab.errors import LeaklabError
from leaklab.importers.reading import Options, Reading, Source
from leaklab.importers.table import read_table

NAME = "jsonl"


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
    import pandas as pd

    text = source.text
    skipped = 0
    if text.lstrip().startswith("["):
        try:
            records = [row for row in json.loads(text) if isinstance(row, dict)]
        except ValueError as error:
            raise LeaklabError(f"damaged JSON: {source.path}; {error}") from None
    else:
        records = []
        for line in text.splitlines():
            try:
                row = json.loads(line) if line.strip() else None
            except ValueError:
                skipped += 1  # the last line of a process that was killed
                continue
            if isinstance(row, dict):
                records.append(row)
    frame = pd.json_normalize(records)
    reading = read_table(frame, options, title="JSON lines", path=source.path)
    if skipped:
        reading.notes.append(f"{skipped} lines are no JSON and were left out")
    return reading
