"""Growth inside a container that holds so many at most, and is not full yet: no leak so far.

A cache of a thousand entries grows as steadily as a leak until it is full. The object graph knows
such containers; where they hold what grows, only a longer run can tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leaklab.analysis.heap import heap_timeline
from leaklab.findings.retention import dumps_after_warm_up
from leaklab.present.formatting import rate_text
from leaklab.verdict.evidence import GROWS
from leaklab.verdict.heap_study import study_heap
from leaklab.verdict.judge import INCONCLUSIVE, LEAK, ResourceVerdict, Verdict, reconsidered
from leaklab.verdict.suspects import suspects

if TYPE_CHECKING:
    from leaklab.store import RunData

COLUMNS = ("path", "type", "attribute", "bound_count", "held_count", "rate", "unit", "more_x")
# A container accounts for the growth where it holds this share of it, or where all lines that leak
# allocate for it but for the rest of this.
MOSTLY = 0.7
_LEFT_SHARE = 0.2


def filling(data: RunData, *, role: str = "main") -> pd.DataFrame:
    """Return the containers that grow towards a bound which they have not reached.

    Columns: path and type (of the object with the bound), attribute (which of its containers, ""
    for itself), bound_count and held_count (entries, at the last dump), rate (entries per unit),
    unit ("iteration" or "second"), more_x (units until it is full). Empty without object graphs.
    """
    chosen = dumps_after_warm_up(data, role)
    bounds = data.bounds
    if chosen is None or not len(bounds):
        return pd.DataFrame(columns=list(COLUMNS))
    process, numbers, (begin, end), unit = chosen
    mine = bounds[bounds["process"] == process]
    first, last = (mine[mine["dump"] == number] for number in (numbers[0], numbers[-1]))
    both = filled_between(first, last)
    rates = (both["held_count"] - both["held_count_before"]) / (end - begin)
    more = (both["bound_count"] - both["held_count"]) / rates
    table: pd.DataFrame = both.assign(rate=rates, unit=unit, more_x=more)
    return table[list(COLUMNS)].reset_index(drop=True)


def filled_between(first: pd.DataFrame, last: pd.DataFrame) -> pd.DataFrame:
    """Return the containers that hold more at the last of two dumps, and not yet all they may.

    first, last: ``bounds`` of `leaklab.object_graph.tables.dump_tables`. Columns: path, type,
    attribute, count, bound_count, held_count, held_count_before.
    """
    keys = ["path", "type", "attribute", "count", "bound_count"]
    before, after = (
        each.groupby(keys, as_index=False)["held_count"].sum() for each in (first, last)
    )
    # Where there are more such objects than before, it is they that pile up.
    both = after.merge(before, on=keys, suffixes=("", "_before"))
    fills = both["held_count"].gt(both["held_count_before"])
    filling: pd.DataFrame = both[fills & both["held_count"].lt(both["bound_count"])]
    return filling


def settled(data: RunData, verdict: Verdict, retention: pd.DataFrame) -> Verdict:
    """Return the verdict, inconclusive where all growth is inside containers that still fill.

    ``retention``: as :func:`leaklab.findings.retention.retention` returns it for the same run.
    """
    if not len(data.bounds):
        return verdict
    changed: list[ResourceVerdict] = []
    explained: dict[str, ResourceVerdict] = {}
    for entry in verdict.resources:
        if entry.name == "heap_bytes" and entry.verdict == LEAK:
            found = _inside(data, entry, retention)
            if found is not None:
                explained[entry.role] = found
                entry = found
        changed.append(entry)
    if not explained:
        return verdict
    resources = [
        _follows(entry, explained[entry.role])
        if entry.name == "rss_bytes" and entry.role in explained
        else entry
        for entry in changed
    ]
    return reconsidered(verdict, tuple(resources))


def _inside(
    data: RunData, heap: ResourceVerdict, retention: pd.DataFrame
) -> ResourceVerdict | None:
    """The heap's verdict where containers that fill hold what grows; None where they do not."""
    containers = filling(data, role=heap.role).to_dict("records")
    groups = retention[retention["role"] == heap.role].to_dict("records")
    held = [(group, _container(group, containers)) for group in groups]
    inside = [(group, one) for group, one in held if one is not None]
    if not inside:
        return _gained_inside(data, heap)
    rate = sum(float(group["rate"]) for group, _ in inside)
    elsewhere = {rank for group, one in held if one is None for rank in group["suspect_ranks"]}
    # A line that is only possible may as well have made what is kept elsewhere.
    sure = [group for group, _ in inside if group["confidence"] in ("high", "medium")]
    ranks = {rank for group in sure for rank in group["suspect_ranks"]} - elsewhere
    leaking = suspects(data, role=heap.role)
    leaking = leaking[leaking["evidence"] == GROWS]
    left = leaking[~leaking["rank"].isin(ranks)]["rate"].sum()
    if rate < MOSTLY * heap.rate and left > _LEFT_SHARE * leaking["rate"].sum():
        return _gained_inside(data, heap)
    return _still_fills(heap, [one for _, one in inside])


def _gained_inside(data: RunData, heap: ResourceVerdict) -> ResourceVerdict | None:
    """The heap's verdict where containers that fill have gained most of what the heap gained.

    Entries that are small beside what comes and goes in an interpreter are no leak group of their
    own. The last dump counts also where the main program is through by then: what a container has
    come to hold there has not gone with the variables of a function.
    """
    chosen, study = dumps_after_warm_up(data, heap.role), study_heap(data, role=heap.role)
    if chosen is None or study is None or study.window_count is not None:
        return None
    process = chosen[0]
    timeline = heap_timeline(data, role=heap.role, process=process)
    dumps = data.graph_dumps
    dumps = dumps[dumps["process"].eq(process) & dumps["state"].eq("complete")]
    if timeline is None or timeline.unit != heap.unit or len(dumps) < 2:
        return None
    dumps = dumps.sort_values("time_seconds", kind="stable")
    seconds, numbers = dumps["time_seconds"].to_numpy(float), dumps["dump"].to_numpy()
    x = np.interp(seconds, timeline.time_seconds, timeline.x)
    first = min(int(np.searchsorted(x, heap.baseline_x)), len(x) - 2)
    ends = seconds[[first, -1]]
    span = float(x[-1] - x[first])
    gained = float(np.diff(np.interp(ends, timeline.time_seconds, timeline.total()))[0])
    containers = _outermost(data, process, (int(numbers[first]), int(numbers[-1])))
    inside = float(containers["gained_bytes"].sum())
    if not (span > 0 and gained > 0 and inside >= MOSTLY * max(gained, heap.rate * span)):
        return None
    pace = (containers["held_count"] - containers["held_count_before"]) / span
    more = (containers["bound_count"] - containers["held_count"]) / pace
    told = containers.assign(more_x=more).sort_values("gained_bytes", ascending=False)
    # What holds next to nothing of it may fill for as long as it likes.
    told = told[told["gained_bytes"] >= _LEFT_SHARE * inside]
    return _still_fills(heap, told.to_dict("records"))


def _outermost(data: RunData, process: int, numbers: tuple[int, int]) -> pd.DataFrame:
    """The containers of a process that fill from one dump to the other and lie in no other such,
    with gained_bytes, what each keeps alive more: see `filled_between`."""
    bounds = data.bounds[data.bounds["process"] == process]
    both = filled_between(*(bounds[bounds["dump"] == number] for number in numbers))
    both = both.sort_values("held_count", ascending=False, kind="stable").drop_duplicates("path")
    paths = data.paths
    paths = paths[(paths["process"] == process) & (paths["tree"] == "path")]
    before, after = (
        paths[paths["dump"] == number].groupby("path")["retained_bytes"].sum() for number in numbers
    )
    # One that was not there before is new with all that it holds.
    gained = (after - before).reindex(both["path"]).fillna(0.0).to_numpy(float).clip(min=0.0)
    above = tuple(f"{path}{mark}" for path in both["path"] for mark in (".", "[", " → "))
    is_outer = np.array([not path.startswith(above) for path in both["path"]], bool)
    outermost: pd.DataFrame = both.assign(gained_bytes=gained)[is_outer]
    return outermost


def _still_fills(heap: ResourceVerdict, inside: Sequence[Mapping[Any, Any]]) -> ResourceVerdict:
    """The heap's verdict where what grows is inside containers that are not full, the first most
    telling."""
    first = inside[0]
    more = max(float(one["more_x"]) for one in inside)
    name = f"{first['path']}.{first['attribute']}".rstrip(".")
    why = (
        f"grew by {rate_text('heap_bytes', heap.rate, heap.unit)} inside {name} ({first['type']}), "
        f"which holds {first['held_count']:,} of {first['bound_count']:,} at most: that decides "
        "nothing before it is full"
    )
    return replace(heap, verdict=INCONCLUSIVE, why=why, more_x=more)


def _container(
    group: Mapping[Any, Any], containers: Sequence[Mapping[Any, Any]]
) -> Mapping[Any, Any] | None:
    """The container that what a group piles up in is, or lies in."""
    point = str(group["accumulation_point"])
    for one in containers:
        place = f"{one['path']}.{one['attribute']}".rstrip(".")
        if point == place or point.startswith((f"{place} → ", f"{place}[")):
            return one
    return None


def _follows(resident: ResourceVerdict, heap: ResourceVerdict) -> ResourceVerdict:
    """Resident memory that grows no faster than what fills the container."""
    same = resident.unit == heap.unit and MOSTLY * resident.rate <= heap.rate
    if resident.verdict != LEAK or not same:
        return resident
    why = f"follows the heap, which {heap.why}"
    return replace(resident, verdict=INCONCLUSIVE, why=why, more_x=heap.more_x, advice=heap.advice)
