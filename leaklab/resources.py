"""The resources that are recorded and judged, once: adding one is a row here and its probe.

A probe stores samples under the row's name (`recorder.procfs` for what the kernel says,
`probe.figures` for what the interpreter says); everything else, the verdict, words, figures, pages
and tables, reads this table.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from leaklab.errors import UsageError

# Resident memory comes in pages, and the smallest there are have so many bytes.
PAGE_BYTES = 4096.0


@dataclass(frozen=True)
class Resource:
    """What is known of a resource beforehand.

    kind: "level" goes up and down with what is held, "count" counts things exactly, "gauge" is a
    figure of the user's own, "file" the size of files, watched or in shared memory. title: as
    figures call it. noun: what a count counts, one and several. material: growth over a whole run,
    in the resource's own unit, below which it does not matter or is not told from its own unrest;
    None where the resource is stored and shown but not judged. source: where it is measured. grain:
    the step in which it moves; less has not shown.
    """

    name: str
    kind: str
    title: str
    source: str
    material: float | None = None
    noun: tuple[str, str] = ("", "")
    grain: float = 1.0


# The kernel gives memory by pages; an interpreter counts its small blocks.
PAGE_BYTES, BLOCK_BYTES = 4096.0, 64.0
# What the process's own allocators count as in use (leaklab.analysis.in_use).
IN_USE = "in_use_bytes"
# In the order in which they are reported. A megabyte of resident memory comes and goes; an open
# file does not.
TABLE = (
    Resource("rss_bytes", "level", "resident set size", "kernel", float(1 << 20), grain=PAGE_BYTES),
    Resource("heap_bytes", "level", "live heap", "tracer", float(16 << 10)),
    Resource(
        IN_USE,
        "level",
        "memory in use by allocators",
        "allocator",
        float(1 << 20),
        grain=BLOCK_BYTES,
    ),
    Resource("uss_bytes", "level", "unique set size", "kernel", grain=PAGE_BYTES),
    Resource(
        "rss_peak_bytes", "level", "peak resident set size per mark", "kernel", grain=PAGE_BYTES
    ),
    Resource("fd_count", "count", "open file descriptors", "kernel", 3.0, ("fd", "fds")),
    Resource("socket_count", "count", "sockets", "kernel", 3.0, ("socket", "sockets")),
    Resource("thread_count", "count", "threads", "kernel", 3.0, ("thread", "threads")),
    Resource("task_count", "count", "asyncio tasks", "interpreter", 3.0, ("task", "tasks")),
    Resource("child_count", "count", "child processes", "kernel", 3.0, ("child", "children")),
    Resource(
        "shm_count",
        "count",
        "shared memory segments",
        "kernel",
        3.0,
        ("segment", "segments"),
    ),
    # Where it is full, the next write ends the process.
    Resource("shm_bytes", "file", "shared memory", "kernel", float(1 << 20), grain=PAGE_BYTES),
)
# Families, one member a file or a figure of the user's: ``file_bytes:PATH``, ``gauge:NAME``.
FAMILIES = (
    Resource("file_bytes", "file", "size of {}", "kernel", 1024.0),
    Resource("gauge", "gauge", "{}", "user", 3.0),
)
_BY_NAME = {row.name: row for row in (*TABLE, *FAMILIES)}
CPU = "gauge:cpu_percent"
# Where nothing else is known growth matters from this share of the level on.
LEVEL_SHARE = 0.1

# What a run is shown by: exact counts tell more than memory, the exact heap more than resident.
_BY_IMPORTANCE = (
    "file_bytes", "fd_count", "thread_count", "child_count", "socket_count", "task_count",
    "shm_count", "shm_bytes",
    "heap_bytes", "rss_bytes", IN_USE,
)  # fmt: skip


def find(name: str) -> Resource | None:
    """Return the row of a resource, of its family for ``gauge:NAME``; None for an unknown one."""
    return _BY_NAME.get(name.partition(":")[0])


def check_name(name: str, judged: Sequence[str] = ()) -> None:
    """Raise UsageError for a name that is no resource's.

    The message names those ``judged``, which are all that get a verdict where none are given.
    """
    family, colon, member = str(name).partition(":")
    known = [row.name for row in (FAMILIES if colon else TABLE)]
    if family not in known or (colon and not member):
        allowed = ", ".join((*(judged or judged_names()), "file_bytes:PATH", "gauge:NAME"))
        raise UsageError(f"unknown resource: {name}; allowed: {allowed}")


def check_pages(name: str, largest: float) -> None:
    """Raise UsageError for resident memory that is at most ``largest``, where no process has that.

    As bytes such figures would be too little to matter, and a leak in MiB would be bounded.
    """
    if name == "rss_bytes" and 0 < largest < PAGE_BYTES:
        raise UsageError(
            f"{name} of at most {largest:.4g}, where no process has less than a page of memory; "
            "give bytes"
        )


def judged_names() -> tuple[str, ...]:
    """Return the resources that get a verdict, in the order in which they are reported."""
    return tuple(row.name for row in TABLE if row.material is not None)


def family_prefixes() -> tuple[str, ...]:
    """Return what the members of each family begin with: ``file_bytes:``, ``gauge:``."""
    return tuple(f"{row.name}:" for row in FAMILIES)


def material(name: str) -> float:
    """Return the growth over a run, in the resource's unit, below which it does not matter.

    An unknown name counts as a gauge. Example: ``material("fd_count")`` is 3.0.
    """
    row = find(name) or _BY_NAME["gauge"]
    return _BY_NAME["gauge"].material or 0.0 if row.material is None else row.material


def material_of(name: str, figures: Iterable[float]) -> float:
    """Return :func:`material` for a resource with these figures.

    A gauge that counts has whole numbers. One with fractions may be a ratio, or gigabytes: by three
    of its unit it may never move, so a share of its own level matters if that is less.

    >>> material_of("gauge:queue", [0.0, 1.0]), material_of("gauge:used_ratio", [0.5, 0.7])
    (3.0, 0.06)
    """
    least = material(name)
    if name == CPU or not _is_gauge(name):
        return least
    known = [abs(figure) for figure in figures if math.isfinite(figure)]
    if _are_whole(known):
        return least
    return min(least, LEVEL_SHARE * sum(known) / len(known))


def grain_of(name: str, figures: Iterable[float]) -> float:
    """Return the step in which a resource with these figures moves; 0 for a gauge with fractions.

    >>> grain_of("rss_bytes", [8192.0]), grain_of("fd_count", [3.0]), grain_of("gauge:used", [0.5])
    (4096.0, 1.0, 0.0)
    """
    if _is_gauge(name) and not _are_whole(figures):
        return 0.0
    return (find(name) or _BY_NAME["gauge"]).grain


def _is_gauge(name: str) -> bool:
    return (find(name) or _BY_NAME["gauge"]).kind == "gauge"


def _are_whole(figures: Iterable[float]) -> bool:
    """Whether these figures count."""
    return all(float(figure).is_integer() for figure in figures)


def is_bytes(name: str) -> bool:
    """Return whether a resource is counted in bytes; a gauge says so by its name, as all do."""
    kind, _, rest = name.partition(":")
    return kind.endswith("_bytes") or (kind == "gauge" and rest.endswith("_bytes"))


def is_memory(name: str) -> bool:
    """Return whether a resource is a level of memory of the process."""
    row = find(name)
    return row is not None and row.kind == "level"


def noun(name: str, value: float = 2.0) -> str:
    """Return what a count counts: ``fds``, one ``fd``; nothing for bytes and gauges."""
    row = find(name)
    if row is not None:
        return row.noun[0] if abs(value) == 1 else row.noun[1]
    if ":" in name or not name.endswith("_count"):
        return ""
    word = name.removesuffix("_count").replace("_", " ")
    return word if abs(value) == 1 else f"{word}s"


def title(name: str) -> str:
    """Return what a resource is called in a figure: ``open file descriptors``."""
    family, _, member = name.partition(":")
    row = find(name)
    if row is None:
        return noun(name) or name.replace("_", " ")
    if family == "gauge":
        return member.removesuffix("_bytes").replace("_", " ")
    return row.title.format(member)


def importance(name: str) -> int:
    """Return the place of a resource among those to show a run by; the least is shown first."""
    family = name.partition(":")[0]
    if family in _BY_IMPORTANCE:
        return _BY_IMPORTANCE.index(family)
    return len(_BY_IMPORTANCE)
