"""Bounded for how long: what a verdict of ``bounded`` leaves open over the time that is asked."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from leaklab.analysis.series import HEAP, has_clock, resource_series
from leaklab.present.formatting import amount
from leaklab.resources import LEVEL_SHARE, material
from leaklab.verdict.judge import Verdict, reconsidered
from leaklab.verdict.resources import BOUNDED, INCONCLUSIVE, ResourceVerdict
from leaklab.verdict.time_left import duration_text

if TYPE_CHECKING:
    import pandas as pd

    from leaklab.store import RunData


def within(verdict: Verdict, data: RunData, horizon_seconds: float) -> Verdict:
    """Return the verdict for a program that is to run for ``horizon_seconds`` at this pace.

    A bounded resource whose largest growth that was not excluded would matter by then becomes
    inconclusive, with how much longer to record. Marks are turned into seconds by the pace of the
    untraced pass.
    """
    roles = {entry.role for entry in verdict.resources}
    resident = {role: resource_series(data, "rss_bytes", role=role) for role in roles}
    resources = tuple(
        _of_run(entry, verdict, resident[entry.role], data, horizon_seconds)
        for entry in verdict.resources
    )
    if verdict.verdict != BOUNDED:
        return replace(verdict, resources=resources)
    return reconsidered(verdict, resources)


def _of_run(
    entry: ResourceVerdict,
    verdict: Verdict,
    series: pd.DataFrame,
    data: RunData,
    horizon_seconds: float,
) -> ResourceVerdict:
    """Judge one resource; the pace is that of ``series``, of resident memory, where it has one."""
    if not has_clock(data.meta):
        return _without_pace(entry, horizon_seconds)
    if len(series) < 2 or series.attrs["unit"] != entry.unit:
        series = resource_series(data, entry.name, role=entry.role)
    if len(series) < 2 or series.attrs["unit"] != entry.unit:
        return entry
    span_x = float(np.ptp(series["x"]))
    span_seconds = float(np.ptp(series["time_seconds"])) if entry.unit == "iteration" else span_x
    if not (span_x > 0 and span_seconds > 0):
        return entry
    horizon_x = horizon_seconds * span_x / span_seconds
    resident, heap = (verdict.resource(name, entry.role) for name in ("rss_bytes", HEAP))
    # A heap of a megabyte may well grow by one in a process of fifty.
    level = (resident if entry.name == HEAP and resident is not None else entry).last_floor
    exact = heap.excluded if heap is not None and heap.unit == entry.unit else math.nan
    words = duration_text(horizon_seconds)
    return over(entry, horizon_x, span_x, words, level=level, of_heap=exact)


def _without_pace(entry: ResourceVerdict, horizon_seconds: float) -> ResourceVerdict:
    """Say that nothing tells how many units of work come by then; the verdict stands for the run.

    Counting the units as seconds would be a guess.
    """
    if entry.verdict != BOUNDED:
        return entry
    words = duration_text(horizon_seconds)
    return replace(entry, why=f"{entry.why}; how many {entry.unit}s {words} are is not known")


def over(
    entry: ResourceVerdict,
    horizon_x: float,
    span_x: float,
    words: str,
    *,
    level: float,
    of_heap: float = math.nan,
) -> ResourceVerdict:
    """Return the verdict on a resource over ``horizon_x`` more of x, after a run of ``span_x``.

    ``words`` name the horizon in the reason; ``level`` is what growth is held against; ``of_heap``
    the largest growth of the traced heap per x that is not excluded, NaN where none was traced.
    """
    if entry.verdict != BOUNDED or not math.isfinite(entry.excluded):
        return entry
    hidden = _hidden(entry.name, span_x, of_heap)
    could = max(entry.excluded, hidden) * horizon_x
    # From a share of what is there now on, or from what is material where that is more.
    matters = max(entry.material, LEVEL_SHARE * max(level, 0.0))
    if could <= matters:
        return replace(
            entry, why=f"{entry.why}; at most {amount(entry.name, could)} more in {words}"
        )
    # The error of a slope falls with the length of the run to the power of three halves.
    longer = max((entry.excluded * horizon_x / matters) ** (2 / 3), hidden * horizon_x / matters)
    more = span_x * (longer - 1)
    why = (
        f"{entry.why}; but in {words} growth of up to {amount(entry.name, could)} would not "
        f"have shown, and {amount(entry.name, matters)} would matter"
    )
    return replace(entry, verdict=INCONCLUSIVE, why=why, more_x=more)


def _hidden(name: str, span_x: float, of_heap: float) -> float:
    """The growth per x that the resource itself need not show, however still it stands.

    Resident memory moves in arenas of the interpreter: what is less than one in the whole run may
    have been found room in pages that were there. The traced heap tells it all the same.
    """
    if name != "rss_bytes":
        return 0.0
    return of_heap if math.isfinite(of_heap) else material(name) / span_x
