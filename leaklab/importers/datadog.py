"""Answers of Datadog: of its query interface (v1), and of its time series interface (v2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from leaklab.importers.reading import Options, Reading, Source
from leaklab.importers.services import Told, epoch, read_with

NAME = "datadog"


def recognise(source: Source) -> bool:
    """Return whether the file is an answer of Datadog with series."""
    head = source.head
    is_second = b'"timeseries_response"' in head
    return head.lstrip().startswith(b"{") and (b'"pointlist"' in head or is_second)


def read(source: Source, options: Options) -> Reading:
    """Read each series as one process by its tags."""
    return read_with(source, options, "Datadog", _series)


def _series(answer: Any) -> Iterator[Told]:
    for row in answer.get("series", ()):
        points = [(epoch(at), _figure(value)) for at, value in row["pointlist"]]
        tags = row.get("tag_set") or str(row.get("scope", "")).split(",")
        yield _told(tags, str(row.get("metric") or row.get("expression")), points, row)
    found = (answer.get("data") or {}).get("attributes") or {}
    times = [epoch(at) for at in found.get("times", ())]
    for row, values in zip(found.get("series", ()), found.get("values", ()), strict=True):
        points = list(zip(times, map(_figure, values), strict=True))
        name = f"query {row.get('query_index', 0)}"
        yield _told(row.get("group_tags") or (), name, points, row)


def _told(tags: Iterable[str], name: str, points: list[tuple[float, float]], row: Any) -> Told:
    labels = dict(tag.split(":", 1) for tag in tags if ":" in tag)
    unit = (row.get("unit") or [None])[0] or {}
    is_bytes = unit.get("family") == "bytes"
    scale = float(unit.get("scale_factor") or 1.0) if is_bytes else None
    return Told(labels, name, points, str(unit.get("name") or ""), scale)


def _figure(value: Any) -> float:
    return float("nan") if value is None else float(value)
