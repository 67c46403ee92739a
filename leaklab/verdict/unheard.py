"""A process that ran on after its line to the recorder was lost: what then grew was not seen.

Figures taken from outside go on. Those at marks, and those only the process itself tells, end with
the line, and what stood still until then is not known to have done so afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from leaklab.analysis.series import HEAP, chosen_points, resource_series
from leaklab.present.formatting import span_text
from leaklab.verdict.failures import AS_FAR_SHARE
from leaklab.verdict.resources import BOUNDED, INCONCLUSIVE, ResourceVerdict

if TYPE_CHECKING:
    from leaklab.store import RunData


def unless_unheard(resources: Sequence[ResourceVerdict], data: RunData) -> list[ResourceVerdict]:
    """Return the verdicts with those inconclusive that are bounded as far as a process was heard.

    >>> unless_unheard(run.verdict().resources, run.data)
    """
    lost = {
        int(entry["process"]): entry
        for entry in data.meta.get("processes") or ()
        if entry.get("line_lost_seconds")
    }
    return [_judged(entry, lost, data) for entry in resources]


def _judged(
    entry: ResourceVerdict, lost: dict[int, dict[str, Any]], data: RunData
) -> ResourceVerdict:
    if entry.verdict != BOUNDED or not lost:
        return entry
    series = resource_series(data, entry.name, role=entry.role)
    pass_ = "explain" if entry.name == HEAP else series.attrs["pass"]
    points, _, members = chosen_points(data, entry.name, pass_, entry.role)
    seen = dict(points.groupby("process")["time_seconds"].max()) if len(points) else {}
    for number in lost.keys() & members.keys():
        begun, end = _life(lost[number])
        heard = end - float(lost[number]["line_lost_seconds"])
        seen_until = max(heard, float(seen.get(number, begun)))
        if seen_until - begun < AS_FAR_SHARE * (end - begun):
            why = (
                f"did not grow while it was seen, which it was not for the last "
                f"{span_text(end - seen_until, 'second')} of {span_text(end - begun, 'second')}: "
                "the process ran on without its line to the recorder"
            )
            return replace(entry, verdict=INCONCLUSIVE, why=why, more_x=0.0)
    return entry


def _life(entry: dict[str, Any]) -> tuple[float, float]:
    """From when to when a process did its work; its line is known to be lost until that end."""
    end = entry.get("work_ended_seconds")
    end = entry.get("ended_seconds") if end is None else end
    return float(entry.get("started_seconds") or 0.0), float(end or 0.0)
