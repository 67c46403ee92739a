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
from leaklab.verdict.time_left import MACHINE

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
    at the upper bound of the interval; rates by second give sizes alone.
    """
    server = server_of(meta)
    if limit is not None and limit[1] == MACHINE and not server:
        return []  # a script that fills the machine's own memory needs mending, not settings
    leaking = [e for e in resources if e.name == "rss_bytes" and e.verdict == "leak"]
    if not leaking or limit is None:
        return []
    entry = max(leaking, key=lambda e: e.rate_high)
    fastest = entry.rate_high if math.isfinite(entry.rate_high) else entry.rate
    start = entry.first
    room = FILLED_SHARE * limit[0] - start
    if fastest <= 0 or room <= 0:
        return []
    units = math.floor(room / fastest) if entry.unit == "iteration" else None
    why = (
        f"{FILLED_SHARE:.0%} of {amount('rss_bytes', limit[0])} ({limit[1]}) less "
        f"{amount('rss_bytes', start)} at the start, at {amount('rss_bytes', fastest)} per "
        f"{'unit of work' if units is not None else 'second'}"
    )
    return list(_of_server(server, entry, units, FILLED_SHARE * limit[0], why))


def server_of(meta: Mapping[str, Any]) -> str:
    """Return which server the command of a run names; "" for none that is known."""
    words = [PurePath(str(word)).name for word in (meta.get("command") or {}).get("argv") or ()]
    return next((name for name in ("gunicorn", "uvicorn", "celery") if name in words), "")


def _of_server(
    server: str, entry: ResourceVerdict, units: int | None, most_bytes: float, why: str
) -> Iterator[StopGap]:
    """Yield the settings of one server; of none that is known, those of the system."""
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
        setting = f"worker_max_memory_per_child = {int(most_bytes // 1024)}"
        yield StopGap(server, setting, "in KiB of resident memory", caution)
    yield StopGap(
        "systemd",
        f"MemoryHigh={int(most_bytes // (1 << 20))}M with Restart=on-failure",
        "slows the service down before the kernel kills it",
    )
