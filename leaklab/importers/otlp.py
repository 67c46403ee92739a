"""Metrics of OpenTelemetry as JSON (OTLP), as the collector's file exporter writes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from leaklab.importers.metrics import START_TIMES
from leaklab.importers.reading import Options, Reading, Source
from leaklab.importers.services import Told, epoch, read_with

NAME = "otlp"
_CUMULATIVE = (2, "AGGREGATION_TEMPORALITY_CUMULATIVE")
# Attributes that say which part of a figure a point is.
_PARTS = ("type", "state")


def recognise(source: Source) -> bool:
    """Return whether the file holds metrics of resources."""
    return source.head.lstrip().startswith(b"{") and b'"resourceMetrics"' in source.head[:4096]


def read(source: Source, options: Options) -> Reading:
    """Read each metric of a resource as one process; its start time tells restarts."""
    return read_with(source, options, "OpenTelemetry (OTLP)", _series)


def _series(document: Any) -> Iterator[Told]:
    # A file may have lines of logs and spans, too.
    for resource in document.get("resourceMetrics") or ():
        labels = _attributes(resource.get("resource") or {})
        for scope in resource.get("scopeMetrics") or ():
            for metric in scope.get("metrics") or ():
                yield from _of_metric(metric, labels)


def _of_metric(metric: Any, labels: dict[str, str]) -> Iterator[Told]:
    total = metric.get("sum") or {}
    if total.get("isMonotonic"):
        return
    for point in (metric.get("gauge") or total).get("dataPoints") or ():
        own = _attributes(point)
        parts = [own.pop(key) for key in _PARTS if key in own]
        at = epoch(point["timeUnixNano"])
        value = float(point.get("asInt", point.get("asDouble", "nan")))
        every = {**labels, **own}
        name = " ".join((metric["name"], *parts))
        yield Told(every, name, [(at, value)], str(metric.get("unit") or ""))
        begun = int(point.get("startTimeUnixNano") or 0)
        if begun and total.get("aggregationTemporality") in _CUMULATIVE:
            yield Told(labels, START_TIMES[0], [(at, epoch(begun))])


def _attributes(holder: Any) -> dict[str, str]:
    found = {}
    for entry in holder.get("attributes") or ():
        found[str(entry["key"])] = str(next(iter((entry.get("value") or {}).values()), ""))
    return found
