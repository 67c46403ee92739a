"""When a limit will be reached at the measured rate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from leaklab.present.formatting import amount, span_text
from leaklab.verdict.reach import Reach
from leaklab.verdict.resources import LEAK, ResourceVerdict

MACHINE = "memory of the machine"


@dataclass(frozen=True)
class TimeLeft:
    """How much longer a leaking resource can go on before its limit.

    left, left_low, left_high: units ("iteration" or "second") from the end of the run, with a
    95 % interval (left_high is infinite when the rate may be zero). limit: in the resource's unit.
    """

    name: str
    unit: str
    left: float
    left_low: float
    left_high: float
    limit: float
    limit_name: str

    def __str__(self) -> str:
        """Return one sentence."""
        low, high = (self._words(value) for value in (self.left_low, self.left_high))
        return (
            f"{self.name} reaches {amount(self.name, self.limit)} ({self.limit_name}) after "
            f"{self._words(self.left)} more (95 %: {low} to {high})"
        )

    def _words(self, value: float) -> str:
        if not math.isfinite(value):
            return "never"
        return span_text(value, self.unit) if self.unit == "iteration" else duration_text(value)


def duration_text(seconds: float) -> str:
    """ "42 s", "3.5 h", "12 days"."""
    for size, unit in ((86_400.0, "days"), (3_600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def smallest_limit(meta: dict[str, Any]) -> tuple[float, str] | None:
    """The memory limit that is met first, and its name: from the run's limits and platform.

    Looks at ``limits`` (memory_bytes, cgroup_memory_bytes, address_space_bytes) and
    ``platform.memory_bytes``; None where none was recorded.
    """
    limits, platform = meta.get("limits") or {}, meta.get("platform") or {}
    known = [
        (limits.get("memory_bytes"), "--limit-memory"),
        (limits.get("cgroup_memory_bytes"), "limit of the control group"),
        (limits.get("address_space_bytes"), "RLIMIT_AS"),
        (platform.get("memory_bytes"), MACHINE),
    ]
    found = [(float(value), name) for value, name in known if value]
    return min(found) if found else None


def time_left(entry: ResourceVerdict, limit: float, limit_name: str) -> TimeLeft | None:
    """When a leaking resource reaches ``limit`` if it goes on at its rate.

    Counted from where the trend stands and how far above it the figure comes: that is where a
    process dies, however low it falls in between. Where that is not known, from the peak of the
    last quarter of the run. None where the resource does not leak. Zero where it is already there.
    """
    if entry.verdict != LEAK or not entry.rate > 0:
        return None
    seen = entry.reach
    if seen is None:
        peak = entry.last if math.isnan(entry.peak) else max(entry.peak, entry.last)
        seen = Reach(peak, 0.0, 0.0, 0.0, 0.0)
    first, usual, last = (
        max(limit - seen.trend - above, 0.0) for above in (seen.high, seen.middle, seen.low)
    )
    slow = max(entry.rate_low, 0.0)
    return TimeLeft(
        name=entry.name,
        unit=entry.unit,
        left=usual / entry.rate,
        left_low=first / max(entry.rate_high, entry.rate),
        left_high=last / slow + seen.wait_x if slow > 0 else math.inf,
        limit=limit,
        limit_name=limit_name,
    )
