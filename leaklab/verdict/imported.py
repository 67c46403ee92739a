"""Verdicts on figures of other tools: what may decide, what else they hold, replicas by age."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from leaklab.analysis.series import processes_of, untraced_pass
from leaklab.present.formatting import amount, span_text
from leaklab.verdict.evidence import MINIMUM_POINTS
from leaklab.verdict.resources import INCONCLUSIVE, LEAK, ResourceVerdict, judge_resource

if TYPE_CHECKING:
    import pandas as pd

    from leaklab.store import RunData

# A replica that lived this many times as long tells what becomes of a younger one.
LIVED_LONGER = 2.0
_AGGREGATED = (
    "was recorded with --aggregate, which keeps no history of it; record without --aggregate"
)


def judge_long(series: pd.DataFrame) -> ResourceVerdict:
    """Judge a resource from :func:`leaklab.analysis.long_series.long_series`.

    Memory under a name of its own is judged as resident memory is.
    """
    name, like = series.attrs["name"], series.attrs.get("like")
    if like is None:
        return explained(judge_resource(series), series)
    alike = series.copy(deep=False)
    alike.attrs.update(name=like)
    return explained(replace(judge_resource(alike), name=name, decides=False), series)


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
        entry = replace(entry, last=now, peak=now, reach=None)
    return replace(entry, reason=f"{entry.reason}, {words}")


def deciding(
    meta: Mapping[str, Any], entry: ResourceVerdict, series: pd.DataFrame
) -> ResourceVerdict:
    """Return the verdict with ``decides`` set for a figure that an imported run rests on.

    A gauge of one's own decides nothing in a recording, as it may count requests. A file may hold
    nothing but a container's memory under its own name.
    """
    judged = (meta.get("import") or {}).get("judged") or ()
    if entry.name not in judged:
        return entry
    if entry.role != "main" and len(series) < MINIMUM_POINTS:
        return entry
    return replace(entry, decides=True)


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
        replace(entry, reason=_AGGREGATED, more_x=0.0)
        if entry.name == "heap_bytes" and entry.role in aggregated
        else entry
        for entry in entries
    ]
    if told:
        found = [_beyond_zero(entry, data) for entry in found]
    if told.get("siblings"):
        found = [_by_age(entry, found, data) for entry in found]
    return [
        replace(entry, verdict=INCONCLUSIVE, reason=f"{entry.reason}; but {cautions[entry.name]}")
        if entry.verdict == LEAK and cautions.get(entry.name)
        else entry
        for entry in found
    ]


def _beyond_zero(entry: ResourceVerdict, data: RunData) -> ResourceVerdict:
    """A growing figure whose interval excludes no growth at all.

    A file by time says not where work ends: steps of a batch job look like growth that goes on.
    """
    if entry.verdict != LEAK or entry.unit != "second" or entry.rate_low > 0:
        return entry
    more = max(float(part.get("duration_seconds") or 0.0) for part in data.meta["passes"])
    why = f"{entry.reason}; but the interval holds 0; record {span_text(more, entry.unit)} more"
    return replace(entry, verdict=INCONCLUSIVE, reason=why, more_x=more)


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
        and _peak(data, other) >= entry.last
    ]
    if not older:
        return entry
    oldest = max(older, key=lambda other: _lived_seconds(meta, other.role))
    why = (
        f"{entry.reason}; but it is young: {oldest.role}, which lived longer, reached no more "
        f"than {amount(entry.name, _peak(data, oldest))}"
    )
    return replace(entry, verdict=INCONCLUSIVE, reason=why)


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
