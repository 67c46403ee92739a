"""Which limits a process lives under: its own, those of its control group, the machine's."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from leaklab.recorder.procfs import SHARED_MEMORY

if TYPE_CHECKING:
    from leaklab.recorder.options import RecordOptions
    from leaklab.recorder.processes.tracked import Tracked

_ROOT = Path("/sys/fs/cgroup")
_PROC = Path("/proc")
# Rows of /proc/PID/limits by the limit's name.
_DESCRIPTORS, _ADDRESS_SPACE, _TASKS = "Max open files", "Max address space", "Max processes"
# A name of a limit on threads, and where the kernel keeps it for the whole machine.
_OF_MACHINE = {
    "kernel.threads-max": "sys/kernel/threads-max",
    "kernel.pid_max": "sys/kernel/pid_max",
}
# Who may administer the machine or exceed its limits is not held to RLIMIT_NPROC.
_EXCEEDS = 1 << 21 | 1 << 24


def limits_of(pid: int) -> dict[str, Any]:
    """Return the limits of a process as run.json has them; empty where it is gone or not shown.

    descriptor_limit, address_space_bytes (soft, which it may change itself), group_memory_bytes
    (the smallest of its control group and those above), thread_limit and thread_limit_name: how
    many threads it and whoever shares that limit may have, shared_memory_bytes: what its /dev/shm
    holds. None for no limit.
    """
    own = _own_limits(pid)
    if not own:
        return {}
    threads = _thread_limits(pid, own)
    name = min(threads, key=lambda each: threads[each], default=None)
    return {
        "descriptor_limit": own.get(_DESCRIPTORS),
        "address_space_bytes": own.get(_ADDRESS_SPACE),
        "group_memory_bytes": limit_bytes(pid),
        "thread_limit": None if name is None else threads[name],
        "thread_limit_name": name,
        "shared_memory_bytes": _shared_memory_bytes(pid),
    }


def limit_bytes(pid: int) -> int | None:
    """Return the smallest memory limit of a process's group and those it is in; None without."""
    texts = _contents(pid, "memory", "memory.max", "memory.limit_in_bytes")
    # Version 1 says "no limit" with a number beyond any machine's memory.
    limits = [int(text) for text in texts if text.isdigit() and int(text) < 1 << 60]
    return min(limits, default=None)


def _shared_memory_bytes(pid: int) -> int | None:
    """Return the size of what a process has for shared memory, in a container its own."""
    try:
        status = os.statvfs(_PROC / str(pid) / f"root{SHARED_MEMORY}")
    except OSError:
        return None
    return status.f_blocks * status.f_frsize or None


def _own_limits(pid: int) -> dict[str, int | None]:
    """Return the soft limits of a process by name, None for none; empty where it is gone."""
    rows = re.finditer(r"^(Max [a-z ]+?) {2,}(\S+) ", _text(pid, "limits"), re.MULTILINE)
    return {row[1]: int(row[2]) if row[2].isdigit() else None for row in rows}


def _thread_limits(pid: int, own: Mapping[str, int | None]) -> dict[str, int]:
    """Return each limit on threads that a process may meet, by name."""
    groups = [
        int(text) for text in _contents(pid, "pids", "pids.max", "pids.max") if text.isdigit()
    ]
    found = {"pids.max": min(groups)} if groups else {}
    of_user = own.get(_TASKS)
    if of_user is not None and not _exceeds_limits(pid):
        found["RLIMIT_NPROC"] = of_user
    for name, file in _OF_MACHINE.items():
        if (text := _read(_PROC / file)).isdigit():
            found[name] = int(text)
    return found


def _exceeds_limits(pid: int) -> bool:
    """Whether the kernel lets a process have more threads than its user may."""
    status = dict(re.findall(r"^(Uid|CapEff):\s+(\S+)", _text(pid, "status"), re.MULTILINE))
    return status.get("Uid") == "0" or bool(int(status.get("CapEff", "0"), 16) & _EXCEEDS)


def graph_at_bytes(options: RecordOptions, limits: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the resident memory at which a last object graph is due; None where none is asked for.

    A share of the smallest limit there is: for all processes together the one given, the control
    group's, the machine's memory; and for each of them RLIMIT_AS, infinite without one. limits:
    those of the process, as :func:`limits_of` tells.
    """
    if options.graph_at_share is None:
        return None
    known = [
        options.limit_memory_bytes,
        limits.get("group_memory_bytes"),
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    ]
    together = min(float(limit) for limit in known if limit)
    each = float(limits.get("address_space_bytes") or math.inf)
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


class OomKills:
    """How many processes the kernel has killed for want of memory in the groups that were seen."""

    def __init__(self) -> None:
        self._seen = ""
        self._begun: dict[Path, int] = {}

    def see(self, pid: int) -> None:
        """Count from now on what is killed in the group of a process, which may have changed it."""
        group = _text(pid, "cgroup")
        if not group or group == self._seen:
            return
        self._seen = group
        for path in _files(pid, "memory", "memory.events", "memory.oom_control"):
            if (count := _kill_count(path)) is not None:
                self._begun.setdefault(path, count)
                return

    @property
    def count(self) -> int:
        """How many since each group was seen first."""
        return sum((_kill_count(path) or 0) - begun for path, begun in self._begun.items())


def _kill_count(path: Path) -> int | None:
    match = re.search(r"^oom_kill (\d+)$", _read(path), re.MULTILINE)
    return int(match[1]) if match else None


def _contents(pid: int, controller: str, name: str, name_in_version_1: str) -> Iterator[str]:
    """Yield a file's text in a process's group and in those above it, nearest first."""
    yield from filter(None, map(_read, _files(pid, controller, name, name_in_version_1)))


def _files(pid: int, controller: str, name: str, name_in_version_1: str) -> Iterator[Path]:
    for line in _text(pid, "cgroup").splitlines():
        number, controllers, group = line.split(":", 2)
        if number == "0":
            folder, file = _ROOT, name
        elif controller in controllers.split(","):
            folder, file = _ROOT / controller, name_in_version_1
        else:
            continue
        path = PurePosixPath(group)
        # A container sees the path its host has given its group, and that group as the root.
        for each in (path, *path.parents):
            if each.is_relative_to("/"):
                yield folder / each.relative_to("/") / file


def _text(pid: int, name: str) -> str:
    return _read(_PROC / str(pid) / name)


def _read(path: Path) -> str:
    """Return a file's text; "" where there is none."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""
