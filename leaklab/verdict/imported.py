"""Verdicts on figures of other tools: what may decide, what else they hold, replicas by age."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from leaklab.analysis.falls import Falls
from leaklab.analysis.long_series import (
    DAY_SECONDS,
    LEAST_PART,
    LEAST_SEEN,
    covered_seconds,
    unseen_course,
)
from leaklab.analysis.series import processes_of, untraced_pass
from leaklab.present.formatting import amount, rate_text, span_text
from leaklab.verdict.evidence import MINIMUM_POINTS
from leaklab.verdict.growth import estimate
from leaklab.verdict.idle_end import unless_idle
from leaklab.verdict.resources import (
    BOUNDED,
    INCONCLUSIVE,
    LEAK,
    RECORD,
    ResourceVerdict,
    judge_resource,
)

if TYPE_CHECKING:
    import pandas as pd

    from leaklab.store import RunData

# A replica that lived this many times as long tells what becomes of a younger one.
LIVED_LONGER = 2.0
# Growth of so many times its range is none of a daily course, however little was seen of that.
BEYOND_COURSE = 10.0
# After a day or more a figure is bounded when what may be hidden is at most this share of it.
HIDDEN_SHARE = 0.1
_AGGREGATED = (
    "was recorded with --aggregate, which keeps no history of it; record without --aggregate"
)


def judge_long(series: pd.DataFrame) -> ResourceVerdict:
    """Judge a resource from :func:`leaklab.analysis.long_series.long_series`.

    Memory under a name of its own is judged as resident memory is.
    """
    name, like = series.attrs["name"], series.attrs.get("like")
    if like is None:
        entry = _unless_idle(judge_resource(series), series)
        return _of_days(explained(entry, series), series)
    alike = series.copy(deep=False)
    alike.attrs.update(name=like)
    entry = replace(judge_resource(alike), name=name, decides=False)
    return _of_days(explained(entry, series), series)


def _unless_idle(entry: ResourceVerdict, series: pd.DataFrame) -> ResourceVerdict:
    worked = series.attrs.get("worked")
    if worked is None:
        return entry
    x, y = (series[key].to_numpy() for key in ("x", "value"))
    return unless_idle(entry, x, y, worked, lambda: judge_resource(series.iloc[:worked]))


def judge_foreign(series: pd.DataFrame) -> ResourceVerdict:
    """Judge figures of no recording, from :func:`leaklab.analysis.long_series.lone_series`, as
    those of a file are."""
    entry = _to_the_end(judge_long(series), series)
    return _beyond_zero(entry, float(series["x"].iloc[-1] - series["x"].iloc[0]))


def _of_days(entry: ResourceVerdict, series: pd.DataFrame) -> ResourceVerdict:
    """The verdict on a series, after what only figures of days must show."""
    x = series["x"].to_numpy()
    if entry.unit != "second" or len(x) < MINIMUM_POINTS:
        return entry
    if (falls := series.attrs.get("falls")) is not None and entry.verdict != LEAK:
        return _of_restarts(entry, falls)
    if covered_seconds(x) < LEAST_SEEN * DAY_SECONDS and not series.attrs["unseen"]:
        return entry
    entry = _beyond_course(entry, series)
    return _with_power(entry, series) if entry.verdict == BOUNDED else entry


def _of_restarts(entry: ResourceVerdict, falls: Falls) -> ResourceVerdict:
    """The verdict, withheld where restarts that nobody told may hide the growth between them."""
    why = (
        f"fell {falls.count} times by about {amount(entry.name, falls.height)} from one figure to "
        f"the next (about every {span_text(falls.every_seconds, entry.unit)}); if these are "
        f"restarts it grows by {rate_text(entry.name, falls.pace, entry.unit, falls.every_seconds)}"
        " between them; give its pid or start time, or a file of each life"
    )
    return replace(entry, verdict=INCONCLUSIVE, why=why, more_x=0.0)


def _with_power(entry: ResourceVerdict, series: pd.DataFrame) -> ResourceVerdict:
    """The verdict bounded, withheld where as much growth as matters to a service may be hidden."""
    span = float(series["x"].iloc[-1] - series["x"].iloc[0])
    hidden = entry.excluded * span
    if not hidden > max(HIDDEN_SHARE * float(series["value"].median()), entry.material):
        return entry
    rate = rate_text(entry.name, entry.excluded, entry.unit, span)
    why = f"{entry.why.partition(': at most')[0]}, but growth of up to {rate} would not have shown"
    return replace(entry, verdict=INCONCLUSIVE, why=why, more_x=span)


def _beyond_course(entry: ResourceVerdict, series: pd.DataFrame) -> ResourceVerdict:
    """The verdict, withheld where a daily course that was seen once or twice may explain it.

    What rises by day and falls by night grows and shrinks; and what is filled by day at night
    slows down and goes on. Neither is told before the same hours were seen three times.
    """
    unseen = _unseen_after(entry.baseline_x, series)
    grown = entry.rate * (float(series["x"].iloc[-1]) - entry.baseline_x) if unseen else 0.0
    if not unseen or unseen < entry.material:
        return entry
    if entry.verdict == LEAK and grown > BEYOND_COURSE * unseen:
        return entry
    if entry.verdict == INCONCLUSIVE and math.isfinite(series.attrs["now"]):
        return entry  # of several lives the waves may be chance
    missing = float(series.attrs["missing"])
    whole = covered_seconds(series["x"].to_numpy()) >= LEAST_SEEN * DAY_SECONDS
    why = (
        f"{'moves' if whole else 'may move'} with the time of day "
        f"(±{amount(entry.name, unseen / 2)}), which is not told from growth "
        "below 3 whole days"
    )
    return replace(entry, verdict=INCONCLUSIVE, why=why, more_x=missing, advice=RECORD)


def _unseen_after(baseline_x: float, series: pd.DataFrame) -> float:
    """The range of a daily course that was not seen three times, 0 for none.

    A warm-up bends a curve as a wave does. What comes with the time of day is there after it, too,
    where that was looked at for long enough to tell.
    """
    unseen = float(series.attrs["unseen"])
    if not unseen or math.isfinite(series.attrs["now"]):
        return unseen
    late = series[series["x"] >= baseline_x]
    x, y = (late[key].to_numpy() for key in ("x", "value"))
    if len(x) < MINIMUM_POINTS or covered_seconds(x) < LEAST_PART * DAY_SECONDS:
        return unseen
    return min(unseen, unseen_course([(x, y)], DAY_SECONDS)[0])


def explained(entry: ResourceVerdict, series: pd.DataFrame) -> ResourceVerdict:
    """Return the verdict with words on what was taken out of the series before it was judged."""
    without: list[str] = series.attrs.get("without") or []
    if not without:
        return entry
    words = ", ".join(without)
    course, now = float(series.attrs["course"]), float(series.attrs["now"])
    if course:
        words += f" (±{amount(entry.name, course)})"
        # A limit is reached at the peak of a day.
        entry = replace(entry, peak=entry.peak + course, reach=None)
    if math.isfinite(now):
        # The time left is that of the process that runs now, not of one as old as the oldest.
        entry = replace(entry, last=now, last_floor=now, peak=now, reach=None)
        entry = replace(entry, life=float(np.ptp(series["x"])))
    return replace(entry, why=f"{entry.why}, {words}")


def deciding(
    meta: Mapping[str, Any], entry: ResourceVerdict, series: pd.DataFrame
) -> ResourceVerdict:
    """Return the verdict with ``decides`` set for a figure that an imported run rests on.

    A gauge of one's own decides nothing in a recording, as it may count requests. A file may hold
    nothing but a container's memory under its own name. No growth of a file goes on that its last
    straight piece does not show.
    """
    if "import" in meta:
        entry = _to_the_end(entry, series)
    judged = (meta.get("import") or {}).get("judged") or ()
    if entry.name not in judged:
        return entry
    if entry.role != "main" and len(series) < MINIMUM_POINTS:
        return entry
    return replace(entry, decides=True)


def _to_the_end(entry: ResourceVerdict, series: pd.DataFrame) -> ResourceVerdict:
    """The verdict leak, withheld where what followed the last bend grew slower than it says.

    A load that was put on for a minute, a batch that comes to its end: growth slows down without
    any shape that says where to. The rate of a leak is weighed over all shapes of growth; its
    interval and that of the last straight piece then have nothing in common, and what came before
    was faster.
    """
    if entry.verdict != LEAK or entry.unit == "iteration":
        return entry
    x, y = (series[key].to_numpy() for key in ("x", "value"))
    last = estimate(x, y, unit=entry.unit)
    before = last.baseline_x - last.start_x
    risen = last.first_floor - float(y[0])
    if not last.rate_high < entry.rate_low or not risen > last.rate_high * before:
        return entry
    early, late = (
        rate_text(entry.name, pace, entry.unit, last.span) for pace in (risen / before, last.rate)
    )
    why = (
        f"grew by {early} at first and by {late} over the last "
        f"{span_text(last.span, entry.unit)}: it slows down"
    )
    return replace(entry, verdict=INCONCLUSIVE, why=why, more_x=last.run_span)


def with_cautions(data: RunData, entries: Sequence[ResourceVerdict]) -> list[ResourceVerdict]:
    """Return the verdicts after what an imported file says of its figures.

    A figure that holds page cache cannot prove a leak; a replica cannot whose older sibling
    was here before and does not leak.
    """
    meta = data.meta
    told = meta.get("import") or {}
    cautions = told.get("cautions") or {}
    aggregated = {p.get("role") for p in meta.get("processes", ()) if p.get("aggregated")}
    found = [
        replace(entry, why=_AGGREGATED, more_x=0.0)
        if entry.name == "heap_bytes" and entry.role in aggregated
        else entry
        for entry in entries
    ]
    if told:
        span = max(float(part.get("duration_seconds") or 0.0) for part in meta["passes"])
        found = [_beyond_zero(entry, span) for entry in found]
    if told.get("siblings"):
        found = [_by_age(entry, found, data) for entry in found]
    return [
        replace(entry, verdict=INCONCLUSIVE, why=f"{entry.why}; but {cautions[entry.name]}")
        if entry.verdict == LEAK and cautions.get(entry.name)
        else entry
        for entry in found
    ]


def _beyond_zero(entry: ResourceVerdict, span: float) -> ResourceVerdict:
    """The verdict on figures of ``span`` seconds, withheld where it and its interval do not say the
    same of no growth at all.

    A file by time says not where work ends: steps of a batch job look like growth that goes on.
    And teeth hide a rise of their floor that their interval shows.
    """
    if entry.verdict == INCONCLUSIVE or entry.unit == "iteration":
        return entry
    grows = entry.rate_low > 0
    if grows == (entry.verdict == LEAK):
        return entry
    if grows and entry.rate * span < entry.material:
        return entry
    what = "is clear of 0" if grows else "holds 0"
    why = f"{entry.why}; but the interval {what}"
    return replace(entry, verdict=INCONCLUSIVE, why=why, more_x=span)


def _by_age(
    entry: ResourceVerdict, all_: Sequence[ResourceVerdict], data: RunData
) -> ResourceVerdict:
    """A growing replica beside one that lived longer, from as low, and does not grow any more."""
    if entry.verdict != LEAK or entry.unit != "second":
        return entry
    meta = data.meta
    lived = _lived_seconds(meta, entry.role)
    older = [
        other
        for other in all_
        if other.name == entry.name
        and other.role != entry.role
        and other.verdict != LEAK
        and _lived_seconds(meta, other.role) >= LIVED_LONGER * lived
        and _peak(data, other) >= entry.last_floor
    ]
    if not older:
        return entry
    oldest = max(older, key=lambda other: _lived_seconds(meta, other.role))
    why = (
        f"{entry.why}; but it is young: {oldest.role}, which lived longer, reached no more "
        f"than {amount(entry.name, _peak(data, oldest))}"
    )
    return replace(entry, verdict=INCONCLUSIVE, why=why)


def _peak(data: RunData, entry: ResourceVerdict) -> float:
    """The highest figure of a resource in a role."""
    members = processes_of(data, entry.role, untraced_pass(data))
    samples = data.samples
    rows = samples["name"].eq(entry.name) & samples["process"].isin(list(members))
    return float(samples.loc[rows, "value"].max())


def _lived_seconds(meta: Mapping[str, Any], role: str) -> float:
    """The longest life of a process of a role."""
    return max(
        (
            float(entry["ended_seconds"]) - float(entry["started_seconds"])
            for entry in meta.get("processes", ())
            if entry.get("role") == role and entry.get("ended_seconds") is not None
        ),
        default=0.0,
    )
