"""The control group this process and its targets share: its memory limit, and what that killed."""

from __future__ import annotations

import math
import os
import re
import resource
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leaklab.recorder.options import RecordOptions
    from leaklab.recorder.processes.tracked import Tracked

_ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def limit_bytes() -> int | None:
    """Return the smallest memory limit of this group and those it is in; None without one."""
    texts = _contents("memory.max", "memory.limit_in_bytes")
    # Version 1 says "no limit" with a number beyond any machine's memory.
    limits = [int(text) for text in texts if text.isdigit() and int(text) < 1 << 60]
    return min(limits, default=None)


def address_space_bytes() -> int | None:
    """Return the soft RLIMIT_AS of this process, which its children inherit; None without one."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


def graph_at_bytes(options: RecordOptions) -> tuple[float, float] | None:
    """Return the resident memory at which a last object graph is due; None where none is asked for.

    A share of the smallest limit there is: for all processes together the one given, the control
    group's, the machine's memory; and for each of them RLIMIT_AS, infinite without one.
    """
    if options.graph_at_share is None:
        return None
    known = [
        options.limit_memory_bytes,
        limit_bytes(),
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    ]
    together = min(float(limit) for limit in known if limit)
    each = float(address_space_bytes() or math.inf)
    return options.graph_at_share * together, options.graph_at_share * each


def is_near_limit(
    at_bytes: tuple[float, float] | None, process: Tracked, alive: Iterable[Tracked]
) -> bool:
    """Say whether a last graph of a process is due: of all together, it is of the role with most.

    at_bytes: as :func:`graph_at_bytes` tells.
    """
    if at_bytes is None:
        return False
    together, each = at_bytes
    held: Counter[str] = Counter()
    for one in alive:
        held[one.role] += one.rss_bytes
    has_most = held[process.role] == max(held.values(), default=0)
    return process.rss_bytes >= each or (has_most and held.total() >= together)


def oom_kill_count() -> int:
    """Return how many processes of this group the kernel has killed for want of memory."""
    for text in _contents("memory.events", "memory.oom_control"):
        if match := re.search(r"^oom_kill (\d+)$", text, re.MULTILINE):
            return int(match[1])
    return 0


def _contents(name: str, name_in_version_1: str) -> Iterator[str]:
    """Yield a file's text in this process's group and in those above it, nearest first."""
    try:
        lines = _OWN.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, group = line.split(":", 2)
        if number == "0":
            folder, file = _ROOT, name
        elif "memory" in controllers.split(","):
            folder, file = _ROOT / "memory", name_in_version_1
        else:
            continue
        path = PurePosixPath(group)
        # A container sees the path its host has given its group, and that group as the root.
        for each in (path, *path.parents):
            try:
                yield (folder / each.relative_to("/") / file).read_text(encoding="utf-8").strip()
            except (OSError, ValueError):
                continue
