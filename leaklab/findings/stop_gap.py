"""Settings that keep a leaking service alive until it is mended, with the arithmetic.

A stop-gap is no cure: the worker still grows, it is only replaced in time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from leaklab.present.formatting import amount
from leaklab.verdict.limits import (
    MACHINE,
    OF_EACH,
    held_by_others,
    own_limit,
    together_count,
)

if TYPE_CHECKING:
    from leaklab.verdict.resources import ResourceVerdict

# Of the limit, so much may be filled before a worker is replaced; the rest is for the next request.
FILLED_SHARE = 0.8
# Workers that were started together should not be replaced together.
JITTER_SHARE = 0.1


@dataclass(frozen=True)
class StopGap:
    """One setting of a server: its value, why that value, and what it does not help against."""

    server: str
    setting: str
    arithmetic: str
    caution: str = ""

    def __str__(self) -> str:
        """Return one line."""
        rest = f"; {self.caution}" if self.caution else ""
        return f"{self.server}: {self.setting} ({self.arithmetic}){rest}"


@dataclass(frozen=True)
class _Room:
    """What one process of a role may fill of a limit, and how long that lasts.

    units: of work, None where the rate is by second. filled: 80 % of the limit.
    """

    entry: ResourceVerdict
    share: float
    units: int | None
    why: str
    filled: float
    each: str


def stop_gaps(
    meta: Mapping[str, Any],
    resources: Sequence[ResourceVerdict],
    limit: tuple[float, str] | None,
) -> list[StopGap]:
    """Return the settings that hold resident memory below ``limit`` (bytes, its name), and
    descriptors below theirs.

    meta: run.json, whose command tells the server, and the limit on descriptors. Nothing without a
    leak of either that has a rate, or without a limit. Rates by unit of work give numbers of
    requests or tasks, taken at the upper bound of the interval, the smaller of the two; rates by
    second give sizes alone. A server counts for each of its workers, while a role's figures are
    those of all its workers together, and a limit on memory is met by them and all other roles:
    each worker gets its part of what the others leave.
    """
    server = server_of(meta)
    memory = None
    # A script that fills the machine's own memory needs mending, not settings.
    if limit is not None and (limit[1] != MACHINE or server):
        memory = _room(meta, resources, "rss_bytes", limit)
    descriptors = _room(meta, resources, "fd_count", None)
    counted = [room for room in (memory, descriptors) if room is not None and room.units]
    first = min(counted, key=lambda room: room.units or 0, default=None)
    gaps = [] if first is None else list(_by_count(server, first))
    # Where descriptors run out first, a bound on memory comes too late.
    if memory is not None and (first is None or first is memory):
        gaps += _by_size(server, memory)
    return gaps


def _room(
    meta: Mapping[str, Any],
    resources: Sequence[ResourceVerdict],
    name: str,
    limit: tuple[float, str] | None,
) -> _Room | None:
    """Return the room that the fastest growth of a resource has below its limit, None without."""
    leaking = [one for one in resources if one.name == name and one.verdict == "leak"]
    if not leaking:
        return None
    entry = max(leaking, key=lambda one: one.rate_high)
    limit = limit or own_limit(meta, name, entry.role)
    if limit is None:
        return None
    fastest = entry.rate_high if math.isfinite(entry.rate_high) else entry.rate
    worker_count = together_count(meta, entry.role)
    filled = share = FILLED_SHARE * limit[0]
    if limit[1] not in OF_EACH:
        share = (filled - held_by_others(meta, resources, entry, limit[1])) / worker_count
    start = entry.first / worker_count
    room = share - start
    if fastest <= 0 or room <= 0:
        return None
    units = math.floor(room / fastest) if entry.unit == "iteration" else None
    each = f" for each of {worker_count} workers" if worker_count > 1 else ""
    part = f", {amount(name, share)}{each or ' beside the others'}," * (share < filled)
    why = (
        f"{FILLED_SHARE:.0%} of {amount(name, limit[0])} ({limit[1]}){part} less "
        f"{amount(name, start)} at the start, at {amount(name, fastest)} per "
        f"{'unit of work' if units is not None else 'second'}"
    )
    return _Room(entry, share, units, why, filled, each)


def server_of(meta: Mapping[str, Any]) -> str:
    """Return which server the command of a run names; "" for none that is known."""
    words = [PurePath(str(word)).name for word in (meta.get("command") or {}).get("argv") or ()]
    return next((name for name in ("gunicorn", "uvicorn", "celery") if name in words), "")


def _caution(server: str, entry: ResourceVerdict) -> str:
    """What a parent holds, its children inherit: replacing them gives nothing back."""
    if server in ("gunicorn", "celery") and entry.role == "main":
        return "no help: the parent grows, and its children begin with what it has"
    return ""


def _by_count(server: str, room: _Room) -> Iterator[StopGap]:
    """Yield the setting of a server that replaces a worker after so many units of work."""
    units = room.units or 0
    caution = _caution(server, room.entry)
    if server == "gunicorn":
        jitter = max(int(JITTER_SHARE * units), 1)
        value = f"max_requests = {units - jitter}, max_requests_jitter = {jitter}"
        yield StopGap(server, value, room.why, caution)
    if server == "uvicorn":
        setting = f"--limit-max-requests {units}"
        yield StopGap(server, setting, room.why, "needs something to restart it")
    if server == "celery":
        yield StopGap(server, f"worker_max_tasks_per_child = {units}", room.why, caution)


def _by_size(server: str, room: _Room) -> Iterator[StopGap]:
    """Yield the settings that bound memory: of one process, and of all together."""
    if server == "celery":
        setting = f"worker_max_memory_per_child = {int(room.share // 1024)}"
        why = f"in KiB of resident memory{room.each}"
        yield StopGap(server, setting, why, _caution(server, room.entry))
    yield StopGap(
        "systemd",
        f"MemoryHigh={int(room.filled // (1 << 20))}M with Restart=on-failure",
        "slows the service down before the kernel kills it",
    )
