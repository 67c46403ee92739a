"""Columns beside one another that are one figure of several processes: "web-1 rss", "web-2 rss"."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from leaklab.importers import columns as known
from leaklab.importers.metrics import METRICS
from leaklab.importers.units import spaced, unit_in_name, words_of

# Of one process, or over all: no name of a process among several.
_NO_LABELS = frozenset(
    (
        *known.PART_WORDS, "anon", "file", "shmem", "shm", "private", "dirty", "clean", "huge",
        "locked", "mapped", "cached", "stack", "text", "data", "lib", "mmap", "uss", "pss", "vms",
        "vsz", "virt", "virtual", "physical", "active", "inactive", "committed", "commit", "wired",
        "compressed", "slab", "kernel", "reserved", "allocated",
        "total", "sum", "all", "overall", "aggregate", "combined", "children", "self", "own",
        "container", "cgroup", "docker", "group",
        "min", "median", "average", "std", "stddev", "sigma", "var", "first", "last", "lowest",
        "highest", "raw", "smooth", "smoothed", "rolling", "filtered", "corrected", "trend", "fit",
        "baseline", "before", "after", "start", "end", "begin", "initial", "final", "old", "new",
        "prev", "previous", "growth", "change", "increase", "rate", "ratio", "share", "per",
        "threshold", "target", "warn", "warning", "alert", "normalized", "count", "rss",
    )
)  # fmt: skip
_QUANTILE = re.compile(r"[pq]\d\d\d?")
_BETWEEN = " _-.,:/\\()[]"
_LABEL_VALUE = re.compile(r'="([^"]*)"')
MAIN = "main"


def members_of(columns: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the columns of each resource by the process that their headings name.

    That is what they say besides the resource and its unit; ``main`` for nothing. Only resources of
    several processes, as the same names would be in rows: memory, and counts of the same processes.
    Plain memory counts where no resource of leaklab's own is there.

    >>> members_of(["time", "web-1 rss (MiB)", "web-2 rss (MiB)", "web-1 rss peak (MiB)"])
    {'rss_bytes': {'web-1': 'web-1 rss (MiB)', 'web-2': 'web-2 rss (MiB)'}}
    """
    found: dict[tuple[str, Collection[str], bool], dict[str, str]] = {}
    has_own = any(_own_resource(column) for column in columns)
    for column in columns:
        resource = _own_resource(column)
        if resource is None and (has_own or not known.is_primary(column)):
            continue
        label, rest = _apart(column, resource)
        words = set(words_of(label))
        if words & (_NO_LABELS | known.NOT_NOW) or any(map(_QUANTILE.fullmatch, words)):
            continue
        name = resource or known.gauge_name("_".join(rest), in_bytes=True)
        has_unit = unit_in_name(column) is not None
        found.setdefault((name, rest, has_unit), {}).setdefault(label or MAIN, column)
    of_memory = {label for (name, *_), by in found.items() if _is_bytes(name) for label in by}
    several: dict[str, dict[str, str]] = {}
    for (name, *_), by in found.items():
        alike = {re.sub(r"\d+", "#", label) for label in by}
        # Threads may be active or idle, of one process.
        of_processes = (
            _is_bytes(name) or set(by) <= of_memory or (len(alike) == 1 and MAIN not in by)
        )
        if len(by) > 1 and of_processes:
            several.setdefault(name, by)
    return several


def _is_bytes(resource: str) -> bool:
    return resource.endswith("_bytes")


def _own_resource(column: str) -> str | None:
    metric = METRICS.get(column.split("{")[0])
    return metric.resource if metric else known.resource_of(column)


def _apart(column: str, resource: str | None) -> tuple[str, tuple[str, ...]]:
    """What a heading says of the process, and the words that say which figure it is."""
    head, brace, labels = column.partition("{")
    if brace and head in METRICS:
        return " ".join(_LABEL_VALUE.findall(labels)), (head,)
    kinds = known.RESOURCES.get(resource or "", known.MEMORY_WORDS)
    kept: list[str] = []
    rest: list[str] = []
    for part in re.split(r"([A-Za-z0-9]+|%)", spaced(column)):
        is_rest = part.lower() in kinds or bool(part.isalpha() and unit_in_name(part))
        rest += [part.lower()] if is_rest else []
        kept += ["\0" if is_rest else part]
    parts = (part.strip(_BETWEEN) for part in "".join(kept).split("\0"))
    return " ".join(filter(None, parts)), tuple(rest)
