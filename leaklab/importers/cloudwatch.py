"""Answers of CloudWatch: get-metric-statistics with its unit, get-metric-data without one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from leaklab.importers.reading import Options, Reading, Source
from leaklab.importers.services import Told, epoch, read_with

NAME = "cloudwatch"
_STATISTICS = ("Average", "Maximum", "Minimum", "Sum")
# Of metrics that AWS itself and its agent write, where the answer does not say it.
_UNITS = {
    "MemoryUtilized": "Megabytes", "MemoryUtilization": "Percent", "memory_rss": "Bytes",
    "mem_used_percent": "Percent", "mem_used": "Bytes", "memory_utilization": "Percent",
}  # fmt: skip


def recognise(source: Source) -> bool:
    """Return whether the file is an answer with data points of CloudWatch."""
    head = source.head.lstrip()[:4096]
    is_statistics = b'"Datapoints"' in head and (b'"Label"' in head or b'"Timestamp"' in head)
    return head.startswith(b"{") and (is_statistics or b'"MetricDataResults"' in head)


def read(source: Source, options: Options) -> Reading:
    """Read each metric as one process by its label."""
    return read_with(source, options, "CloudWatch", _series)


def _series(answer: Any) -> Iterator[Told]:
    for result in answer.get("MetricDataResults", ()):
        label = str(result.get("Label") or result["Id"])
        times = map(epoch, result["Timestamps"])
        points = list(zip(times, map(float, result["Values"]), strict=True))
        name = next((name for name in _UNITS if name in label), label)
        yield Told({"name": label, "label": label}, name, points, _UNITS.get(name, ""))
    rows = answer.get("Datapoints") or []
    if rows:
        name = str(answer.get("Label") or "metric")
        key = next((k for k in (*_STATISTICS, "ExtendedStatistics") if k in rows[0]), "Average")
        points = [(epoch(row["Timestamp"]), _figure(row[key])) for row in rows]
        unit = str(rows[0].get("Unit") or "")
        yield Told({}, name, points, _UNITS.get(name, "") if unit in ("", "None") else unit)


def _figure(value: Any) -> float:
    return float(next(iter(value.values())) if isinstance(value, dict) else value)
