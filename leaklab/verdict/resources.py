"""One resource of one role judged by itself: growth, evidence, and the reason in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leaklab.present.formatting import amount, interval_text, rate_text, span_text
from leaklab.resources import material_of
from leaklab.verdict.evidence import (
    GROWS,
    MINIMUM_POINTS,
    STOPPED,
    UNDECIDED,
    WINDOW_COUNT,
    Evidence,
)
from leaklab.verdict.growth import Growth, estimate
from leaklab.verdict.reach import Reach, reach
from leaklab.verdict.reading import read

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

LEAK, BOUNDED, INCONCLUSIVE = "leak", "bounded", "inconclusive"
VERDICT_OF = {GROWS: LEAK, STOPPED: BOUNDED, UNDECIDED: INCONCLUSIVE}
# What would decide a resource that is undecided: how its reason ends.
RECORD = "record {more} more"
LET_RUN = "let it run for {more} more"
FOLLOW = "follow for {more} more"
HAS_ENDED = "its process has ended"
NO_ADVICE = ""
# What was not looked at cannot be made up for by a longer recording.
_MISSED = ("uncovered", "blind")
# Too few figures of these leave a whole undecided.
DECISIVE = ("rss_bytes", "heap_bytes")


@dataclass(frozen=True)
class ResourceVerdict:
    """The verdict on one resource of one role.

    rate, rate_low, rate_high: per ``unit`` ("iteration" or "second"), with a 95 % interval; NaN
    where it could not be estimated. excluded: the largest growth per unit that the series does not
    exclude (95 %); NaN where it cannot be told. first, last: the resource's figure at the baseline
    and at the end, for who reads it; first_floor, last_floor: its floor there, for what is worked
    out from it. peak: the highest figure of the last quarter of the run. reach: how far above
    its trend a leaking figure comes, where a process meets its limit. span: how much of x the rate
    was seen over. why: one sentence with the figures; ``reason`` adds to it what would decide it.
    more_x: how many more marks or seconds would decide it, 0 where it is decided; advice: how they
    are to be had. decides: whether it counts for the run; gauges do not (one may count requests),
    nor do helper processes that were seen only shortly. material: growth over the run that matters.
    life: how much of x the longest of several lives has lasted; None for one. acceleration: of
    growth that becomes faster, half of what its rate gains per unit of x; else 0.
    """

    name: str
    verdict: str
    rate: float
    rate_low: float
    rate_high: float
    unit: str
    first: float
    last: float
    first_floor: float
    last_floor: float
    why: str
    baseline_x: float
    role: str = "main"
    more_x: float = 0.0
    advice: str = RECORD
    decides: bool = True
    excluded: float = float("nan")
    peak: float = float("nan")
    reach: Reach | None = None
    span: float = 0.0
    material: float = float("nan")
    life: float | None = None
    acceleration: float = 0.0

    @property
    def title(self) -> str:
        """Name, and the role where it is not the main one."""
        return title(self.name, self.role)

    @property
    def reason(self) -> str:
        """One sentence with the figures and, where it is undecided, what would decide it."""
        if self.verdict != INCONCLUSIVE or not (self.more_x > 0 and self.advice):
            return self.why
        more = span_text(self.more_x, self.unit)
        return f"{self.why}; {self.advice.format(more=more)}"

    def __str__(self) -> str:
        return f"{self.verdict}. {self.title} {self.reason}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))  # a notebook shows the sentence; repr() has the fields


def title(name: str, role: str) -> str:
    """Return what a resource of a role is called in a sentence."""
    return name if role == "main" else f"{name} of {role}"


def gravest(verdicts: Iterable[str]) -> str:
    """Return what holds of several together: one that leaks makes all leak, one that is undecided
    leaves all undecided; so does none at all.

    >>> gravest(["bounded", "inconclusive"])
    'inconclusive'
    """
    said = set(verdicts)
    return next((one for one in (LEAK, INCONCLUSIVE, BOUNDED) if one in said), INCONCLUSIVE)


def counts(name: str, point_count: int) -> bool:
    """Return whether a resource of so many figures counts for the verdict on a whole.

    Gauges do not, and of what is not memory there may be few for a good reason: task counts begin
    when asyncio is imported, perhaps at the very end.
    """
    return not name.startswith("gauge:") and (name in DECISIVE or point_count >= MINIMUM_POINTS)


def judge_resource(series: pd.DataFrame) -> ResourceVerdict:
    """Judge one resource from :func:`leaklab.analysis.series.resource_series`."""
    x, values = series["x"].to_numpy(), series["value"].to_numpy()
    return judge_figures(
        x, values, name=series.attrs["name"], unit=series.attrs["unit"], role=series.attrs["role"]
    )


def judge_figures(
    x: NDArray[Any], values: NDArray[Any], *, name: str, unit: str, role: str = "main"
) -> ResourceVerdict:
    """Judge figures (one-dimensional) at places x, not decreasing, as those of a resource."""
    growth, evidence = _examined(x, values, name, unit)
    return verdict_of(name, role, growth, evidence, why_text(name, growth, evidence))


def examine(series: pd.DataFrame) -> tuple[Growth, Evidence]:
    """Growth of a resource series, and what it is evidence for."""
    x, values = series["x"].to_numpy(), series["value"].to_numpy()
    return _examined(x, values, series.attrs["name"], series.attrs["unit"])


def _examined(
    x: NDArray[Any], values: NDArray[Any], name: str, unit: str
) -> tuple[Growth, Evidence]:
    growth = estimate(x, values, unit=unit)
    return read(growth, material=material_of(name, growth.whole_y))


def verdict_of(
    name: str, role: str, growth: Growth, evidence: Evidence, why: str
) -> ResourceVerdict:
    """The verdict on a resource from its growth, its evidence and the reason in words."""
    return ResourceVerdict(
        name=name,
        verdict=VERDICT_OF[evidence.verdict],
        rate=growth.rate,
        rate_low=growth.rate_low,
        rate_high=growth.rate_high,
        unit=growth.unit,
        first=growth.first,
        last=growth.last,
        first_floor=growth.first_floor,
        last_floor=growth.last_floor,
        why=why,
        baseline_x=growth.baseline_x,
        role=role,
        more_x=evidence.more_x,
        advice=NO_ADVICE if evidence.code in _MISSED else RECORD,
        decides=not name.startswith("gauge:"),
        excluded=max(growth.rate_high, 0.0),
        span=growth.span,
        material=material_of(name, growth.whole_y),
        peak=_peak(growth),
        reach=reach(growth.x, growth.y, growth.rate, growth.acceleration)
        if evidence.verdict == GROWS
        else None,
        acceleration=growth.acceleration,
    )


def _peak(growth: Growth) -> float:
    """The highest figure of the last quarter of the run; NaN without any."""
    late = growth.whole_x >= growth.end_x - growth.run_span / 4
    return float(growth.whole_y[late].max()) if late.any() else float("nan")


def grown_text(name: str, growth: Growth, after: str = "", *, interval: bool = True) -> str:
    """What it grew by and over what, and what its pace has come to where that rises.

    ``after``: what follows the span; ``interval``: whether to say the 95 % interval.
    """
    mean, rate = (
        rate_text(name, value, growth.unit, growth.span)
        for value in (growth.average_rate, growth.rate)
    )
    low, high = growth.rate_low, growth.rate_high
    sure = f" (95 %: {interval_text(name, low, high, growth.unit, growth.span)})" * interval
    over = f"over {span_text(growth.span, growth.unit)}{after}"
    if growth.acceleration:
        return f"grew by {mean} {over}, faster and faster, lately by {rate}{sure}"
    return f"grew by {rate}{sure} {over}"


def why_text(name: str, growth: Growth, evidence: Evidence) -> str:
    """One sentence, starting with a verb, with the figures the evidence rests on."""
    span = span_text(growth.span, growth.unit)
    rate = rate_text(name, growth.rate, growth.unit, growth.span)
    interval = interval_text(name, growth.rate_low, growth.rate_high, growth.unit, growth.span)
    excluded = rate_text(name, max(growth.rate_high, 0.0), growth.unit, growth.span)
    change = amount(name, growth.last - growth.first, signed=True) if len(growth.y) else "unknown"
    more = span_text(evidence.more_x, growth.unit)
    # The best estimate of what is undecided may be a fall.
    verb = "grew" if growth.rate > 0 else "changed"
    moved = f"{verb} by {rate} (95 %: {interval}) over {span}"
    texts = {
        "few": f"has only {growth.point_count} figures",
        "uncovered": f"was looked at up to {span_text(growth.end_x, growth.unit)} only, while the "
        f"work went on: {more} are missing",
        "steady": f"{grown_text(name, growth, ' after warm-up')}, in each of {WINDOW_COUNT} parts, "
        "and did not slow down",
        "slowing": f"grew by {rate} over {span} but slows down, by less in each of {WINDOW_COUNT} "
        "parts",
        "flat": f"changed by {change} over {span} after warm-up and shows no trend",
        "small": f"changed by {change} over {span}, too little to matter",
        "creeping": f"{moved}, too little yet to tell from what comes and goes by itself",
        "warming": f"{moved} and did not slow down, too little yet to tell from what libraries "
        "warm up by",
        "odds": f"{grown_text(name, growth)}, told by no bounded shape, and did not slow down",
        "weak": f"changed by {change} over {span} after warm-up, and growth of up to {excluded} "
        "would not have shown",
        "doubtful": f"{moved}, but {evidence.shape} would explain it too",
        "unsettled": f"changed by {change} over {span}, which {evidence.shape} would explain, too "
        "late to see whether more comes",
        "hidden": f"stands still as a whole, but its {evidence.shape} grew by {rate} (95 %: "
        f"{interval}) over {span}",
        "sizes": f"grew by {interval} (95 %) over {span}, by how large its small blocks are: it is "
        "open whether that matters",
        "blind": f"was not looked at over {more}, too much of the run to tell; record it again",
    }
    said = texts[evidence.code]
    if evidence.verdict == STOPPED and evidence.shape:
        return f"{said} ({evidence.shape}): at most {excluded} (95 %)"
    return said
