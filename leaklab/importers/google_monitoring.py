"""Answers of Google Cloud Monitoring (Stackdriver): time series, the newest point first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from leaklab.importers.reading import Options, Reading, Source
from leaklab.importers.services import Told, epoch, read_with

NAME = "google-monitoring"


def recognise(source: Source) -> bool:
    """Return whether the file is an answer with time series, or a list of them."""
    head = source.head
    return all(word in head for word in (b'"metric"', b'"points"', b'"interval"', b'"endTime"'))


def read(source: Source, options: Options) -> Reading:
    """Read each time series as one process by the labels of its resource and metric."""
    return read_with(source, options, "Google Cloud Monitoring", _series)


def _series(answer: Any) -> Iterator[Told]:
    rows = answer if isinstance(answer, list) else answer.get("timeSeries") or [answer]
    unit = "" if isinstance(answer, list) else str(answer.get("unit") or "")
    for row in rows:
        metric, labels = row["metric"], dict((row.get("resource") or {}).get("labels") or {})
        own = dict(metric.get("labels") or {})
        # Of a container's memory one part is page cache.
        kind = own.pop("memory_type", "")
        points = [
            (epoch(point["interval"]["endTime"]), _figure(point["value"]))
            for point in row.get("points") or ()
        ]
        name = f"{metric['type']} {kind}".strip()
        yield Told({**labels, **own}, name, points, str(row.get("unit") or unit))


def _figure(value: Any) -> float:
    found = next(iter(value.values()), None)
    if isinstance(found, dict):
        found = found.get("mean")
    return float("nan") if found is None else float(found)
