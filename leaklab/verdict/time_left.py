"""When a limit will be reached at the measured rate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from leaklab.analysis.series import resource_series
from leaklab.present.formatting import amount, span_text
from leaklab.resources import is_bytes
from leaklab.verdict.reach import Reach
from leaklab.verdict.resources import LEAK, ResourceVerdict, title

if TYPE_CHECKING:
    from leaklab.store import RunData
    from leaklab.verdict.judge import Verdict

MACHINE = "memory of the machine"
# The one limit that every process meets for itself.
PROCESS = "RLIMIT_AS"
# So full, a figure is told of whether it grows or not.
NEAR_SHARE = 0.9


@dataclass(frozen=True)
class TimeLeft:
    """How much longer a leaking resource can go on before its limit.

    left, left_low, left_high: units ("iteration" or "second") from the end of the run, with a
    95 % interval (left_high is infinite when the rate may be zero). limit: in the resource's unit.
    role: whose resource it is. life: how long the longest of several lives has lasted; None for
    one.
    """

    name: str
    unit: str
    left: float
    left_low: float
    left_high: float
    limit: float
    limit_name: str
    role: str = "main"
    life: float | None = None

    def __str__(self) -> str:
        """Return one sentence."""
        if self.left == 0:
            return reached_text(self.name, self.limit, self.limit_name, self.role)
        low, high = (self._words(value) for value in (self.left_low, self.left_high))
        limit = f"{amount(self.name, self.limit)} ({self.limit_name})"
        verb = "would reach" if self.is_replaced_before else "reaches"
        said = (
            f"{title(self.name, self.role)} {verb} {limit} after "
            f"{self._words(self.left)} more (95 %: {low} to {high})"
        )
        if not self.is_replaced_before:
            return said
        lasted = self._words(self.life or 0.0)
        return f"{said}, but the longest life has lasted {lasted}: it is replaced before"

    @property
    def is_replaced_before(self) -> bool:
        """Whether no life so far has lasted for as long as that."""
        return self.life is not None and self.left > self.life

    def _words(self, value: float) -> str:
        if not math.isfinite(value):
            return "never"
        return span_text(value, self.unit) if self.unit == "iteration" else duration_text(value)


def reached_text(
    name: str,
    limit: float,
    limit_name: str,
    role: str = "main",
    *,
    verb: str = "has already reached",
) -> str:
    """Return what is said of a figure that a limit does not leave any time."""
    return f"{title(name, role)} {verb} {amount(name, limit)} ({limit_name})"


def duration_text(seconds: float) -> str:
    """ "42 s", "3.5 h", "12 days"."""
    for size, unit in ((86_400.0, "days"), (3_600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def smallest_limit(meta: dict[str, Any], role: str = "main") -> tuple[float, str] | None:
    """The memory limit that processes of a role meet first, and its name; None for none known.

    Looks at ``limits`` (memory_bytes, cgroup_memory_bytes, address_space_bytes), at what an
    imported file says of the role's own, and at ``platform.memory_bytes``. What was asked of a
    file, or of a stored run when it is opened (``limit_asked_bytes``), is the answer to "what if":
    it stands in for all that is known.
    """
    limits, platform, told = (meta.get(key) or {} for key in ("limits", "platform", "import"))
    asked_bytes = meta.get("limit_asked_bytes") or ("import" in meta and limits.get("memory_bytes"))
    if asked_bytes:
        return float(asked_bytes), "--limit"
    own = (told.get("role_limits") or {}).get(role)
    known = [
        (limits.get("memory_bytes"), "--limit-memory"),
        (own or limits.get("cgroup_memory_bytes"), "limit of the control group"),
        (limits.get("address_space_bytes"), PROCESS),
        (platform.get("memory_bytes"), MACHINE),
    ]
    found = [(float(value), name) for value, name in known if value]
    return min(found) if found else None


def limited(verdict: Verdict, meta: dict[str, Any]) -> tuple[ResourceVerdict, float, str] | None:
    """Return the verdict on resident memory, and its smallest limit by name; None without one.

    Of several processes it is the one that comes to its limit first, or is closest to it.
    """
    # What an imported run rests on, where it is memory under a name of its own.
    judged = (meta.get("import") or {}).get("judged") or ()
    names = ("rss_bytes", *filter(is_bytes, judged))
    measured = [one for name in names for one in verdict.resources if one.name == name]
    found = [
        (one, *limit)
        for one in measured
        if one.name == measured[0].name and (limit := smallest_limit(meta, one.role)) is not None
    ]

    def comes_first(known: tuple[ResourceVerdict, float, str]) -> tuple[bool, float, float]:
        left = time_left(*known)
        one, limit, _ = known
        full = float(np.fmax(one.peak, one.last)) / limit
        if left is None:
            return True, math.inf, -full
        return left.is_replaced_before, left.left, -full

    return min(found, key=comes_first, default=None)


def limit_text(verdict: Verdict, data: RunData) -> str | None:
    """Return when the limit is reached, or that it nearly or really was; None for neither."""
    found = limited(verdict, data.meta)
    if found is None:
        return None
    left = time_left(*found)
    if left is not None:
        return str(left)
    entry, limit, limit_name = found
    highest = float(resource_series(data, entry.name, role=entry.role)["value"].max())
    if not highest >= NEAR_SHARE * limit:
        return None
    verb = "has already reached" if highest >= limit else "comes near"
    said = reached_text(entry.name, limit, limit_name, entry.role, verb=verb)
    return f"{said}: its highest was {amount(entry.name, highest)}"


def time_left(entry: ResourceVerdict, limit: float, limit_name: str) -> TimeLeft | None:
    """When a leaking resource reaches ``limit`` if it goes on at its rate.

    Counted from where the trend stands and how far above it the figure comes: that is where a
    process dies, however low it falls in between. Where that is not known, from the peak of the
    last quarter of the run. None where the resource does not leak. Zero where it is already there.
    Growth that has become faster is expected to go on so, and at the latest to keep its pace.
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
        left=_until(usual, entry.rate, entry.acceleration),
        left_low=_until(first, max(entry.rate_high, entry.rate), entry.acceleration),
        left_high=last / slow + seen.wait_x if slow > 0 else math.inf,
        limit=limit,
        limit_name=limit_name,
        role=entry.role,
        life=entry.life,
    )


def _until(rise: float, rate: float, acceleration: float) -> float:
    """After how much of x a figure has risen by so much."""
    if not acceleration > 0:
        return rise / rate
    return 2 * rise / (rate + math.sqrt(rate**2 + 4 * acceleration * rise))
