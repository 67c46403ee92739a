"""Is it a leak? One verdict per resource and one for the run, each with its reason.

``leak``: it keeps growing after warm-up. ``bounded``: it does not. ``inconclusive``: what was
recorded does not decide it, and the reason says what would.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from leaklab.analysis.growth import Growth, estimate
from leaklab.analysis.series import HEAP, resource_names, resource_series, roles
from leaklab.analysis.suspects import suspects
from leaklab.analysis.words import amount, rate_text, span_text

if TYPE_CHECKING:
    from leaklab.store import RunData

LEAK, BOUNDED, INCONCLUSIVE = "leak", "bounded", "inconclusive"

# Growth below this, over the whole run, is not told apart from the noise of the resource.
MATERIAL = {
    "rss_bytes": float(1 << 20),
    "heap_bytes": float(8 << 10),
    "fd_count": 3.0,
    "socket_count": 3.0,
    "thread_count": 3.0,
    "task_count": 3.0,
    "child_count": 3.0,
}
MATERIAL_FILE_BYTES = float(4 << 10)
MATERIAL_GAUGE = 3.0
MINIMUM_POINTS = 10
# A late rate below this share of the early one looks like a curve that levels off.
LEVELLING_SHARE = 0.35


@dataclass(frozen=True)
class ResourceVerdict:
    """The verdict on one resource of one role.

    rate, rate_low, rate_high: per ``unit`` ("iteration" or "second"), after the baseline, with a
    95 % interval; NaN where it could not be estimated. first, last: the resource's floor at the
    baseline and at the end. reason: one sentence with the figures.
    """

    name: str
    verdict: str
    rate: float
    rate_low: float
    rate_high: float
    unit: str
    first: float
    last: float
    reason: str
    baseline_x: float
    role: str = "main"


@dataclass(frozen=True)
class Verdict:
    """The verdict on a run: its resources' verdicts, and the suspects behind them."""

    verdict: str
    reason: str
    resources: tuple[ResourceVerdict, ...]
    suspects: pd.DataFrame = field(repr=False, compare=False)

    def resource(self, name: str, role: str = "main") -> ResourceVerdict | None:
        """The verdict on one resource, or None where it was not measured."""
        for entry in self.resources:
            if entry.name == name and entry.role == role:
                return entry
        return None


def judge(data: RunData) -> Verdict:
    """Judge a recorded run. Never raises for a short or incomplete one: it is inconclusive."""
    resources = tuple(
        judge_series(series)
        for name in resource_names(data)
        for role in roles(data, "explain" if name == HEAP else "measure")
        if len(series := resource_series(data, name, role=role))
    )
    # The role whose heap leaks fastest is the one whose suspects are shown.
    heaps = [entry for entry in resources if entry.name == HEAP]
    worst = max(heaps, key=lambda entry: (entry.verdict == LEAK, entry.rate), default=None)
    found = suspects(data, role=worst.role if worst else "main")
    verdict, reason = _of_run(resources, found)
    return Verdict(verdict, reason, resources, found)


def judge_series(series: pd.DataFrame) -> ResourceVerdict:
    """Judge one resource from :func:`leaklab.analysis.series.resource_series`."""
    unit, name = series.attrs["unit"], series.attrs["name"]
    growth = estimate(series["x"].to_numpy(), series["value"].to_numpy(), unit=unit)
    verdict, reason = _decide(name, growth)
    return ResourceVerdict(
        name=name,
        verdict=verdict,
        rate=growth.rate,
        rate_low=growth.rate_low,
        rate_high=growth.rate_high,
        unit=unit,
        first=growth.first,
        last=growth.last,
        reason=reason,
        baseline_x=growth.baseline_x,
        role=series.attrs["role"],
    )


def material(name: str) -> float:
    """Growth over a run, in the resource's unit, below which it does not matter."""
    if name.startswith("file_bytes:"):
        return MATERIAL_FILE_BYTES
    return MATERIAL.get(name, MATERIAL_GAUGE)


def _decide(name: str, growth: Growth) -> tuple[str, str]:
    span = span_text(growth.span, growth.unit)
    if growth.point_count < MINIMUM_POINTS:
        missing = MINIMUM_POINTS - growth.point_count
        return (
            INCONCLUSIVE,
            f"only {growth.point_count} figures were taken; record at least {missing} more "
            f"{'marks' if growth.unit == 'iteration' else 'samples'}",
        )
    rate = rate_text(name, growth)
    enough = max(material(name), 4 * growth.noise)
    grows = growth.rate_low > 0 and growth.total >= enough
    steadily = growth.rising_share >= 0.8 and max(growth.window_floors) > growth.earlier_high
    if grows and steadily:
        if growth.late_rate < LEVELLING_SHARE * growth.early_rate:
            return (
                INCONCLUSIVE,
                f"it grows by {rate}, but slows down: the last half of {span} grew at "
                f"{100 * growth.late_rate / growth.early_rate:.0f} % of the first half's rate; "
                f"record {span_text(2 * (growth.end_x - growth.start_x), growth.unit)} more",
            )
        return (
            LEAK,
            f"it grew by {rate} over {span} after warm-up, in "
            f"{round(growth.rising_share * (len(growth.window_floors) - 1))} of "
            f"{len(growth.window_floors) - 1} windows, and did not slow down",
        )
    if grows and growth.rising_share >= 0.5 and growth.last >= max(growth.window_floors):
        return (
            INCONCLUSIVE,
            f"it grew by {rate} over {span}, but not steadily; record "
            f"{span_text(growth.end_x - growth.start_x, growth.unit)} more",
        )
    change = amount(name, growth.window_floors[-1] - growth.window_floors[0], signed=True)
    return BOUNDED, f"after warm-up it changed by {change} over {span} and does not keep growing"


def _of_run(resources: tuple[ResourceVerdict, ...], found: pd.DataFrame) -> tuple[str, str]:
    deciding = [entry for entry in resources if not entry.name.startswith("gauge:")]
    leaks = [entry for entry in deciding if entry.verdict == LEAK]
    if leaks:
        parts = [f"{_titled(entry)} {entry.reason.removeprefix('it ')}" for entry in leaks[:1]]
        others = ", ".join(_titled(entry) for entry in leaks[1:])
        text = parts[0] + (f"; so does {others}" if others else "")
        if any(entry.name == HEAP for entry in leaks) and len(found):
            first = found.iloc[0]
            text += f"; {first['function']} ({first['file']}:{first['line']}) allocates most of it"
        return LEAK, text
    undecided = [entry for entry in deciding if entry.verdict == INCONCLUSIVE]
    if undecided:
        first = undecided[0]
        return INCONCLUSIVE, f"{_titled(first)}: {first.reason}"
    if not deciding:
        return INCONCLUSIVE, "nothing was measured; record the run again"
    names = ", ".join(dict.fromkeys(entry.name for entry in deciding))
    return BOUNDED, f"nothing keeps growing after warm-up: {names}"


def _titled(entry: ResourceVerdict) -> str:
    return entry.name if entry.role == "main" else f"{entry.name} of {entry.role}"
