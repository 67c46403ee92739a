"""Series of monitoring services, each of which says what it is and its unit, as processes.

Their names are read by their words: ``kubernetes.memory.rss`` is resident memory, whose it may be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from leaklab.errors import LeaklabError, UsageError
from leaklab.importers import columns as known
from leaklab.importers.json_documents import documents
from leaklab.importers.metrics import SERVICES, WITH_CACHE, Metric
from leaklab.importers.prometheus import Line, reading_of
from leaklab.importers.reading import Options, Reading, Source
from leaklab.importers.units import unit_in_name, unit_name, unit_option, words_of

# Of OpenTelemetry and Google; "Megabytes" of others are read as headings are.
_UNITS = {
    "by": 1, "kby": 10**3, "mby": 10**6, "gby": 10**9,
    "kiby": 2**10, "miby": 2**20, "giby": 2**30,
}  # fmt: skip
_SHARES = frozenset(("percent", "%", "1", "fraction", "ratio"))
_OF_CONTAINERS = frozenset(("container", "docker", "kubernetes", "k8s", "pod", "ecs", "task"))
# What there is, or is asked for, and what the kernel takes back: no memory of the process.
_OTHERS = frozenset(
    ("total", "reserved", "request", "requests", "evictable", "cache", "swap", "virtual", "vms")
)
# Labels as Prometheus has them, by which pods and their lives are told apart.
_LABELS = {
    "pod_name": "pod", "k8s.pod.name": "pod", "kube_pod_name": "pod",
    "container_name": "container", "k8s.container.name": "container", "container.name": "container",
    "namespace_name": "namespace", "k8s.namespace.name": "namespace", "kube_namespace": "namespace",
    "container.id": "container_id", "service.instance.id": "instance", "service.name": "job",
}  # fmt: skip


@dataclass(frozen=True)
class Told:
    """One series: its labels, what it is called, its points, and the unit as the service says it.

    scale: bytes that one figure stands for, where the service says that itself.
    """

    labels: Mapping[str, str]
    name: str
    points: Sequence[tuple[float, float]]
    unit: str = ""
    scale: float | None = None


def epoch(value: Any) -> float:
    """Return a moment as seconds since 1970: of a date, or a number of any unit down to ns.

    >>> epoch("2023-11-14T22:13:20Z") == epoch(1.7e9) == epoch("1700000000000000000")
    True
    """
    try:
        seconds = float(value)
    except ValueError:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    while seconds > 1e11:
        seconds /= 1000.0
    return seconds


def read_with(
    source: Source, options: Options, title: str, series: Callable[[Any], Iterator[Told]]
) -> Reading:
    """Read what ``series`` finds in each document of a file; LeaklabError for a damaged one."""
    found: list[Told] = []
    for document in documents(source):
        try:
            found += series(document)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise LeaklabError(
                f"a damaged answer of {title}: {source.path}; {type(error).__name__}: {error}; "
                "export it again"
            ) from None
    return reading_of_told(found, options, source.path, title)


def reading_of_told(series: Sequence[Told], options: Options, path: Path, title: str) -> Reading:
    """Return what the series tell of each process, by their labels."""
    lines: dict[Any, list[tuple[float, float]]] = {}
    metrics: dict[str, Metric] = {}
    scales: dict[str, float] = {}
    unknown: list[str] = []
    for one in series:
        scale = _scale(one, options)
        points = [(at, value * (scale or 1)) for at, value in one.points if value == value]
        labels = {_LABELS.get(key, key): str(value) for key, value in one.labels.items()}
        key = tuple(sorted({**labels, "__name__": one.name}.items()))
        lines.setdefault(key, []).extend(points)
        metric = _metric(one, scale)
        scales |= {one.name: scale} if scale else {}
        if metric is not None:
            metrics[one.name] = metric
        elif known.says_memory(one.name) and not set(words_of(one.name)) & _OTHERS:
            unknown.append(one.name)
    found = [Line(dict(key), *_sorted(points)) for key, points in lines.items() if points]
    for line in found:
        if len(set(line.seconds)) < len(line.seconds):
            raise UsageError(
                f"several series of the same name and labels: {path}; {line.metric} has two "
                "figures at one time: save each answer to a file of its own"
            )
    if not found:
        raise UsageError(f"an answer without figures: {path}; was there anything at that time?")
    if unknown and not options.values and all(m.rank is None for m in metrics.values()):
        raise UsageError(
            f"no unit for {unknown[0]}: {path}; say it with --unit bytes, MB or MiB, or take it as "
            f"it is with --value '{unknown[0]}=gauge:memory'"
        )
    reading = reading_of(found, replace(options, unit=None), path, title, metrics)
    names = {unit_name(int(scales[name])) for name in scales if f"{name} as " in reading.understood}
    reading.understood += f", memory in {' and '.join(sorted(names))}" if names else ""
    return reading


def _sorted(points: Sequence[tuple[float, float]]) -> tuple[Any, Any]:
    """Times and values in the order of time: services hand them over in any, as newest first."""
    table = np.array(sorted(set(points)), np.float64)
    return table[:, 0], table[:, 1]


def _scale(one: Told, options: Options) -> float | None:
    """Bytes that a figure stands for: by the service's unit, by the name, or by ``--unit``."""
    if one.scale is not None or one.unit:
        return one.scale or _UNITS.get(one.unit.lower()) or unit_in_name(one.unit)
    return unit_in_name(one.name) or (
        unit_option(options.unit) if options.unit and not known.is_share(one.name) else None
    )


def _metric(one: Told, scale: float | None) -> Metric | None:
    """What a series is, None for what is not judged."""
    if one.name in SERVICES:
        return SERVICES[one.name]
    words = set(words_of(one.name))
    resource, gauge = known.resource_of(one.name), known.gauge_name(one.name, scale is not None)
    if resource and (scale is not None or resource != "rss_bytes"):
        return Metric(resource, 0 if resource == "rss_bytes" else None)
    if words & _OTHERS - ({"evictable"} if "non" in words else set()) or words & known.NOT_NOW - {
        "percent"
    }:
        return None
    if scale is not None:
        if not known.says_memory(one.name):
            return Metric(gauge, 6)
        cached = words & _OF_CONTAINERS and "evictable" not in words
        return Metric(gauge, 2, WITH_CACHE) if cached else Metric(gauge, 1)
    is_share = one.unit.lower() in _SHARES or known.is_memory_share(one.name)
    return Metric(gauge, 5) if is_share and known.says_memory(one.name) else None
