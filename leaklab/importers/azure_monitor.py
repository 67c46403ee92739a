"""Answers of Azure Monitor: metrics with their unit, one time series each dimension."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from leaklab.importers.reading import Options, Reading, Source
from leaklab.importers.services import Told, epoch, read_with

NAME = "azure-monitor"
_STATISTICS = ("average", "maximum", "minimum", "total")


def recognise(source: Source) -> bool:
    """Return whether the file is an answer with metrics of Azure."""
    return all(word in source.head for word in (b'"timeseries"', b'"timeStamp"', b'"value"'))


def read(source: Source, options: Options) -> Reading:
    """Read each time series as one process by its dimensions."""
    return read_with(source, options, "Azure Monitor", _series)


def _series(answer: Any) -> Iterator[Told]:
    for metric in answer["value"]:
        for part in metric["timeseries"]:
            said = part.get("metadatavalues") or ()
            labels = {str(entry["name"]["value"]): str(entry["value"]) for entry in said}
            points = [(epoch(row["timeStamp"]), _figure(row)) for row in part["data"]]
            unit = str(metric.get("unit") or "")
            yield Told(labels, str(metric["name"]["value"]), points, unit)


def _figure(row: Any) -> float:
    found = (row[key] for key in _STATISTICS if row.get(key) is not None)
    return float(next(found, "nan"))
