"""One JSON document with a table somewhere in it: records, or columns as pandas writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from leaklab.errors import LeaklabError
from leaklab.importers.json_lines import KIND, table_of
from leaklab.importers.reading import Options, Reading, Source
from leaklab.importers.table import read_table
from leaklab.importers.thinned import note, thinned

if TYPE_CHECKING:
    import pandas as pd

NAME = "json"
_LEAST_ROWS = 3
# The rows of a table with an index of times have these for numbers.
_LEAST_EPOCH = 10**9
_Found = tuple[tuple[str, ...], list[dict[str, Any]]]


def recognise(source: Source) -> bool:
    """Return whether the file is one object with a table in it."""
    if not source.head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return False
    try:
        return bool(_records(json.loads(source.text)))
    except ValueError:
        return False


def read(source: Source, options: Options) -> Reading:
    """Read the longest table; texts of what it stands in tell its rows from those of others."""
    try:
        records = _records(json.loads(source.text))
    except ValueError as error:
        raise LeaklabError(f"damaged JSON: {source.path}; {error}") from None
    if not records:
        raise LeaklabError(f"no table of records or columns: {source.path}; export it as CSV")
    parts: list[pd.DataFrame] = [table_of(records)]
    frame, step = thinned(parts, options.time, group=options.group, kind=KIND)
    reading = read_table(frame, options, title="JSON", path=source.path)
    reading.notes += note(step)
    return reading


def _records(document: Any) -> list[dict[str, Any]]:
    """The rows of the longest table in a document; of those in several places of one name all."""
    tables: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for path, rows in _tables(document, (), {}):
        tables.setdefault(path, []).extend(rows)
    longest = max(tables.values(), key=len, default=[])
    return longest if len(longest) >= _LEAST_ROWS else []


def _tables(node: Any, path: tuple[str, ...], labels: dict[str, str]) -> Iterator[_Found]:
    if isinstance(node, list):
        rows = [row for row in node if isinstance(row, dict)]
        if rows:
            yield path, [{**labels, **row} for row in rows]
        for row in rows:
            yield from _tables_below(row, path, labels)
    elif isinstance(node, dict):
        columns = _columns(node)
        if columns:
            yield path, [{**labels, **row} for row in columns]
        yield from _tables_below(node, path, labels)


def _tables_below(
    node: dict[str, Any], path: tuple[str, ...], labels: dict[str, str]
) -> Iterator[_Found]:
    labels = {**labels, **{key: text for key, text in node.items() if isinstance(text, str)}}
    for key, part in node.items():
        if isinstance(part, dict | list):
            yield from _tables(part, (*path, key), labels)


def _columns(node: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of columns of one length: lists, or values by the number of their row."""
    columns: dict[str, list[Any]] = {}
    for key, part in node.items():
        if isinstance(part, list):
            columns[key] = part
        elif isinstance(part, dict) and part and all(map(str.isdecimal, part)):
            columns[key] = list(part.values())
            if min(map(int, part)) >= _LEAST_EPOCH:
                columns.setdefault("time", list(map(int, part)))
    plain = {
        key: part
        for key, part in columns.items()
        if part and not any(isinstance(cell, dict | list) for cell in part)
    }
    length = max(map(len, plain.values()), default=0)
    whole = {key: part for key, part in plain.items() if len(part) == length}
    if len(whole) < 2:
        return []
    return [dict(zip(whole, cells, strict=True)) for cells in zip(*whole.values(), strict=True)]
