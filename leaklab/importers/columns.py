"""What a column of a table is, by its name: the words people use, as data."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from leaklab.errors import UsageError
from leaklab.importers.units import unit_in_name, words_of
from leaklab.resources import PAGE_BYTES, check_name

TIME_WORDS = (
    "timestamp", "time", "datetime", "date", "ts", "seconds", "secs", "sec", "elapsed", "when",
    "@timestamp", "t", "clock", "minutes", "minute", "hours", "ms",
    "zeitstempel", "zeitpunkt", "zeit", "uhrzeit", "datum", "horodatage", "heure", "temps", "fecha",
    "hora", "tiempo",
)  # fmt: skip
MARK_WORDS = (
    "iteration", "iterations", "iter", "mark", "marks", "chunk", "batch", "request", "requests",
    "step", "epoch", "round", "call", "calls", "cycle", "n", "i", "count", "index", "loop", "run",
)  # fmt: skip
GROUP_WORDS = (
    "container", "pod", "instance", "service", "host", "hostname", "worker", "process", "command",
    "comm", "cmd", "name", "replica", "node", "container_name", "role",
    "group",
)  # fmt: skip
PID_WORDS = ("pid", "tgid")
START_WORDS = (("process", "start"), ("started",), ("start", "time"), ("container", "id"))

# What leaklab itself calls a resource, by any of these words.
RESOURCES = {
    "rss_bytes": ("rss", "resident", "rsz"),
    "fd_count": ("fd", "fds", "nfds", "descriptors"),
    "socket_count": ("socket", "sockets"),
    "thread_count": ("thread", "threads", "nlwp", "nthreads"),
    "task_count": ("tasks",),
    "child_count": ("children",),
}
# A figure that is another one than what the process has now.
NOT_NOW = frozenset(
    (
        "max", "maxrss", "peak", "limit", "soft", "hard", "avg", "mean", "delta", "diff", "hwm",
        "percent", "pct", "%", "system", "available", "free", "id", "ident",
    )
)  # fmt: skip
# Memory in German, French, Spanish, Italian and Portuguese.
_ABROAD = ("arbeitsspeicher", "speicher", "memoire", "memoria")
MEMORY_WORDS = frozenset(
    (
        "mem", "memory", "vms", "vsz", "virt", "vsize", "uss", "pss", "heap", "working", "wset",
        "cache", "swap", "shr", "shared", "external", "buffers", "used", "usage", "rss", "resident",
        "maxrss", "ram", "private", *_ABROAD,
    )
)  # fmt: skip
PRIMARY_WORDS = frozenset(
    (
        "mem", "memory", "uss", "pss", "heap", "working", "wset", "used", "usage", "ram",
        "private", "anon", *_ABROAD,
    )
)  # fmt: skip
# As the kernel tells resident memory apart: none of these is all of it.
_RESIDENT_PARTS = frozenset(("anon", "file", "shmem"))
# Of a whole process, and of parts of its memory, which may be empty.
_WHOLE_WORDS = frozenset(
    (
        "rss", "resident", "rsz", "uss", "pss", "vms", "vsz", "virt", "virtual", "vsize",
        "working", "wset", "memory", "mem", "ram",
    )
)  # fmt: skip
PART_WORDS = frozenset(
    ("swap", "cache", "shr", "shared", "external", "buffers", "heap", "jvm", "gpu", "cuda")
)
CPU_WORDS = frozenset(("cpu", "pcpu"))
_SHARE_WORDS = frozenset(("percent", "pct", "%"))
_USE_WORDS = frozenset(("usage", "use", "used", "util", "utilization"))
# Who writes these columns gives bytes: Node's process.memoryUsage().
NODE_COLUMNS = frozenset(("rss", "heapTotal", "heapUsed"))


def check_judged(resource: str, *others: str) -> None:
    """Refuse what gets no verdict from figures alone: the run would say nothing of it.

    A heap is judged by what its lines hold. ``others`` are allowed as well where this is asked.
    """
    check_name(resource, (*RESOURCES, *others))
    if ":" not in resource and resource not in RESOURCES:
        raise UsageError(
            f"no verdict on {resource} from figures alone; give it as gauge:{resource}"
        )


def resource_of(column: str) -> str | None:
    """Return the resource of leaklab that a column holds, None where it is something else."""
    words = words_of(column)
    # Of a process: Elastic's "system.process.memory.rss.bytes".
    if NOT_NOW & set(words) - ({"system"} if "process" in words else set()):
        return None
    for resource, names in RESOURCES.items():
        if any(word in names for word in words):
            is_part = resource == "rss_bytes" and _RESIDENT_PARTS & set(words)
            return None if is_part else resource
    return None


def is_node(columns: Iterable[str]) -> bool:
    """Return whether a table has the columns of Node's memory."""
    return set(columns) >= NODE_COLUMNS


def is_memory(column: str) -> bool:
    """Return whether a column holds an amount of memory; a share of it ("mem %") is none."""
    words = set(words_of(column))
    return bool(words & MEMORY_WORDS) and not words & {"count", *_SHARE_WORDS, *CPU_WORDS}


def is_share(column: str) -> bool:
    """Return whether a column holds a share, or the use of the processor."""
    return bool(set(words_of(column)) & (_SHARE_WORDS | CPU_WORDS))


def is_primary(column: str) -> bool:
    """Return whether growth of this memory is worth a verdict, where there is nothing better."""
    words = set(words_of(column))
    return is_memory(column) and bool(words & PRIMARY_WORDS) and not words & NOT_NOW


def is_memory_share(column: str) -> bool:
    """Return whether a column holds memory as a share of what there is for the process."""
    words = set(words_of(column))
    others = CPU_WORDS | (NOT_NOW - _SHARE_WORDS) | PART_WORDS
    return bool(words & _SHARE_WORDS and words & PRIMARY_WORDS - {"used", "usage"}) and not (
        words & others
    )


def says_memory(column: str) -> bool:
    """Return whether a name says memory itself, and not only that something is used."""
    return bool(set(words_of(column)) & (PRIMARY_WORDS - {"used", "usage"}))


def least(resource: str) -> float:
    """Return the least that a living process has of a resource: what is below it was not read."""
    if resource == "rss_bytes":
        return PAGE_BYTES
    if resource == "thread_count":
        return 1.0
    if resource in RESOURCES:
        return 0.0
    words = set(words_of(resource))
    whole = words & _WHOLE_WORDS and not words & (PART_WORDS | NOT_NOW)
    return 1.0 if whole and resource.endswith("_bytes") else -math.inf


def is_cpu(column: str) -> bool:
    """Return whether a column holds the use of the processor in percent: seconds of it are not."""
    words = set(words_of(column))
    return bool(words & CPU_WORDS) and (
        bool(words & _SHARE_WORDS) or words <= CPU_WORDS | _USE_WORDS
    )


def is_start(column: str) -> bool:
    """Return whether a column tells one life of a process from the next."""
    words = words_of(column)
    return any(all(word in words for word in wanted) for wanted in START_WORDS)


def is_time(column: str) -> bool:
    """Return whether a column holds times, of whatever else."""
    words = set(words_of(column))
    return bool(words & {"timestamp", "datetime", "epoch", "time", "date"})


def is_counter(column: str) -> bool:
    """Return whether a column is a counter by Prometheus' own rule for names."""
    return column.split("{")[0].endswith(("_total", "_sum", "_bucket", "_created"))


def named(columns: list[str], wanted: tuple[str, ...]) -> str | None:
    """Return the first column that is called so, in the order of ``wanted``; None for none."""
    by_words = {"_".join(words_of(column)): column for column in reversed(columns)}
    for name in wanted:
        if name in by_words:
            return by_words[name]
    for name in wanted:
        for column in columns:
            words = words_of(column)
            # What is told per minute is a rate; but Kibana has "@timestamp per minute".
            if (
                len(name) > 2
                and words
                and ("per" not in words or words[0] == "timestamp")
                and (words[0] == name or words[-1] == name)
            ):
                return column
    return None


def gauge_name(column: str, in_bytes: bool) -> str:
    """Return the name under which a figure of the user's own is kept: ``gauge:heapUsed_bytes``."""
    # A share goes by a name of its own beside the amount: "Memory %" beside "Memory (MB)".
    said = column.replace("%", " percent ")
    name = re.sub(r"\W+", "_", said).strip("_") or "value"
    if in_bytes:
        parts = name.split("_")
        if len(parts) > 1 and unit_in_name(parts[-1]):
            parts = parts[:-1]
        name = "_".join((*parts, "bytes"))
    return f"gauge:{name}"
