"""Settings that keep a leaking service alive until it is mended, with the arithmetic.

A stop-gap is no cure: the worker still grows, it is only replaced in time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from leaklab.present.formatting import amount
from leaklab.verdict.time_left import MACHINE, PROCESS

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


def stop_gaps(
    meta: Mapping[str, Any],
    resources: Sequence[ResourceVerdict],
    limit: tuple[float, str] | None,
) -> list[StopGap]:
    """Return the settings that hold resident memory below ``limit`` (bytes, its name).

    meta: run.json, whose command tells the server. Nothing without a leak of resident memory that
    has a rate, or without a limit. Rates by unit of work give numbers of requests or tasks, taken
    at the upper bound of the interval; rates by second give sizes alone. A server counts for each
    of its workers, while a role's figures are those of all its workers together, and the limit is
    met by them and all other roles: each worker gets its part of what the others leave.
    """
    server = server_of(meta)
    if limit is not None and limit[1] == MACHINE and not server:
        return []  # a script that fills the machine's own memory needs mending, not settings
    leaking = [e for e in resources if e.name == "rss_bytes" and e.verdict == "leak"]
    if not leaking or limit is None:
        return []
    entry = max(leaking, key=lambda e: e.rate_high)
    fastest = entry.rate_high if math.isfinite(entry.rate_high) else entry.rate
    share, worker_count = _share_of_each(meta, resources, entry, limit)
    start = entry.first / worker_count
    room = share - start
    if fastest <= 0 or room <= 0:
        return []
    units = math.floor(room / fastest) if entry.unit == "iteration" else None
    filled_bytes = FILLED_SHARE * limit[0]
    each = f" for each of {worker_count} workers" if worker_count > 1 else ""
    part = f", {amount('rss_bytes', share)}{each or ' beside the others'}," * (share < filled_bytes)
    why = (
        f"{FILLED_SHARE:.0%} of {amount('rss_bytes', limit[0])} ({limit[1]}){part} less "
        f"{amount('rss_bytes', start)} at the start, at {amount('rss_bytes', fastest)} per "
        f"{'unit of work' if units is not None else 'second'}"
    )
    sizes = (share, f"in KiB of resident memory{each}")
    return list(_of_server(server, entry, units, why, sizes, filled_bytes))


def _share_of_each(
    meta: Mapping[str, Any],
    resources: Sequence[ResourceVerdict],
    entry: ResourceVerdict,
    limit: tuple[float, str],
) -> tuple[float, int]:
    """Return how many bytes one process of the role may fill, and how many of them there are."""
    worker_count = _together_count(meta, entry.role)
    filled_bytes = FILLED_SHARE * limit[0]
    if limit[1] == PROCESS:
        return filled_bytes, worker_count
    others = 0.0
    if "import" not in meta:  # whose roles have limits of their own
        others = sum(
            one.last for one in resources if one.name == "rss_bytes" and one.role != entry.role
        )
    return (filled_bytes - others) / worker_count, worker_count


def _together_count(meta: Mapping[str, Any], role: str) -> int:
    """Return how many processes of a role were there at once in one pass, at the most; at least 1.

    One that was replaced has ended before its successor begins.
    """
    changes: dict[str, list[tuple[float, int]]] = {}
    for row in meta.get("processes") or ():
        if (row.get("role") or "main") == role:
            ended = row.get("ended_seconds")
            changes.setdefault(row.get("pass", ""), []).extend(
                [
                    (float(row.get("started_seconds") or 0.0), 1),
                    (math.inf if ended is None else float(ended), -1),
                ]
            )
    return max(
        (max(accumulate(step for _, step in sorted(group))) for group in changes.values()),
        default=1,
    )


def server_of(meta: Mapping[str, Any]) -> str:
    """Return which server the command of a run names; "" for none that is known."""
    words = [PurePath(str(word)).name for word in (meta.get("command") or {}).get("argv") or ()]
    return next((name for name in ("gunicorn", "uvicorn", "celery") if name in words), "")


def _of_server(
    server: str,
    entry: ResourceVerdict,
    units: int | None,
    why: str,
    of_one: tuple[float, str],
    most_bytes: float,
) -> Iterator[StopGap]:
    """Yield the settings of one server; of none that is known, those of the system.

    of_one: how many bytes one worker may fill, and what that is called; most_bytes: all together.
    """
    # What a parent holds, its children inherit: replacing them gives nothing back.
    caution = ""
    if server in ("gunicorn", "celery") and entry.role == "main":
        caution = "no help: the parent grows, and its children begin with what it has"
    if server == "gunicorn" and units:
        jitter = max(int(JITTER_SHARE * units), 1)
        value = f"max_requests = {units - jitter}, max_requests_jitter = {jitter}"
        yield StopGap(server, value, why, caution)
    if server == "uvicorn" and units:
        yield StopGap(server, f"--limit-max-requests {units}", why, "needs something to restart it")
    if server == "celery":
        if units:
            yield StopGap(server, f"worker_max_tasks_per_child = {units}", why, caution)
        setting = f"worker_max_memory_per_child = {int(of_one[0] // 1024)}"
        yield StopGap(server, setting, of_one[1], caution)
    yield StopGap(
        "systemd",
        f"MemoryHigh={int(most_bytes // (1 << 20))}M with Restart=on-failure",
        "slows the service down before the kernel kills it",
    )
