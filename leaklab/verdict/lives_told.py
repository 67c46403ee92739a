"""What a process can tell by its time alone: little where it was a helper, or had hardly begun.

A process without marks is judged by seconds, and in its first ones it imports: that looks like
growth, and its end like growth that is over. Nor can more be recorded of one that has ended.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from leaklab.analysis.lives import START_SECONDS
from leaklab.analysis.series import HEAP, processes_of, untraced_pass
from leaklab.present.formatting import amount, span_text
from leaklab.resources import find, is_memory
from leaklab.verdict.evidence import MINIMUM_POINTS
from leaklab.verdict.resources import (
    BOUNDED,
    HAS_ENDED,
    INCONCLUSIVE,
    LEAK,
    LET_RUN,
    RECORD,
    ResourceVerdict,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from leaklab.store import RunData

# What the recorder calls the main process of a target that went on in the background.
LAUNCHER = "launcher"
# A helper process must be seen for this long after its start.
HELPER_SECONDS = 10.0
# What the reason of a helper ends with that decides nothing.
LISTED = "listed, not judged"
# Who stops a recording by these has seen what there was to see.
SEEN_OUT = ("drive", "decided")


def by_life(entry: ResourceVerdict, series: pd.DataFrame, data: RunData) -> ResourceVerdict:
    """Return the verdict by seconds of a role, in the light of how long it was there."""
    if entry.unit != "second":
        return entry
    if entry.role != "main":
        entry = _of_helper(entry, series, data)
    if "import" in data.meta:
        return entry
    ended_seconds = _ended_seconds(data, entry.role)
    started = entry.role != "main" or ended_seconds >= START_SECONDS
    # Of the exact heap is known what a start brings: modules.
    if not started and entry.verdict != BOUNDED and entry.name != HEAP:
        why = (
            f"was seen for {span_text(ended_seconds, 'second')}, hardly more than the start of the "
            "target: let it work for longer, or mark its units of work"
        )
        return replace(entry, verdict=INCONCLUSIVE, why=why, more_x=0.0)
    if entry.verdict == BOUNDED and entry.span < HELPER_SECONDS and _was_stopped(series, data):
        seen, change = span_text(entry.span, "second"), entry.last - entry.first
        why = (
            f"changed by {amount(entry.name, change, signed=True)} over the {seen} that were seen "
            "after warm-up, but the target went on when its recording was stopped"
        )
        return replace(entry, verdict=INCONCLUSIVE, why=why, more_x=HELPER_SECONDS - entry.span)
    if not math.isfinite(ended_seconds) or entry.advice != RECORD:
        return entry
    return replace(entry, advice=LET_RUN if entry.role == "main" else HAS_ENDED)


def listed_alike(resources: Sequence[ResourceVerdict]) -> list[ResourceVerdict]:
    """Return the verdicts with all of a helper listed where some of it was seen too shortly.

    What costs little is looked at more often; the process was there for as short a time. Growth
    that was seen is told all the same.
    """
    listed = {
        entry.role: entry.why for entry in resources if is_listed(entry) and _by_kernel(entry)
    }
    return [
        replace(entry, verdict=INCONCLUSIVE, why=listed[entry.role], more_x=0.0, decides=False)
        if entry.role in listed and _by_kernel(entry) and entry.verdict != LEAK
        else entry
        for entry in resources
    ]


def is_listed(entry: ResourceVerdict) -> bool:
    """Whether it is of a helper that was seen too shortly: a run is judged without it."""
    helper = entry.role != "main" and entry.unit == "second"
    return helper and not entry.decides and entry.why.endswith(LISTED)


def _by_kernel(entry: ResourceVerdict) -> bool:
    """Whether figures by time are the kernel's, which tells all of them of every process."""
    resource = find(entry.name)
    return entry.unit == "second" and resource is not None and resource.source == "kernel"


def clear_growth(
    entry: ResourceVerdict,
    heap: ResourceVerdict | None,
    series: pd.DataFrame,
    data: RunData,
) -> ResourceVerdict:
    """Return the verdict leak on memory that is not exact, withheld where it is not clear: where
    its interval holds 0, and where it was seen for no longer than a start may take. Growth of the
    exact heap makes it clear."""
    exact = not is_memory(entry.name) or (heap is not None and heap.verdict == LEAK)
    if entry.verdict != LEAK or exact:
        return entry
    end_x = float(series["x"].iloc[-1])
    if not entry.rate_low > 0:
        why, more = "the interval holds 0", end_x - float(series["x"].iloc[0])
    else:
        why, more = "a start looks like that", HELPER_SECONDS - (end_x - entry.baseline_x)
        if entry.unit != "second" or more <= 0 or not _start_was_seen(data):
            return entry
    return replace(entry, verdict=INCONCLUSIVE, why=f"{entry.why}; but {why}", more_x=more)


def clear_bound(
    entry: ResourceVerdict, heap: ResourceVerdict | None, data: RunData
) -> ResourceVerdict:
    """Return the verdict bounded on resident memory, withheld where a process was come to for a
    short time: what it had freed before is filled first, and nothing is seen of that. The exact
    heap makes it clear."""
    exact = heap is not None and heap.decides
    came_to = (data.meta.get("options") or {}).get("attached")
    by_time = entry.name == "rss_bytes" and entry.unit == "second"
    if entry.verdict != BOUNDED or exact or not came_to or not by_time:
        return entry
    if entry.span >= HELPER_SECONDS:
        return entry
    seen, change = span_text(entry.span, "second"), entry.last - entry.first
    why = (
        f"changed by {amount(entry.name, change, signed=True)} over the {seen} that were seen, "
        "but pages that the process had freed before are filled first"
    )
    return replace(entry, verdict=INCONCLUSIVE, why=why, more_x=HELPER_SECONDS - entry.span)


def _was_stopped(series: pd.DataFrame, data: RunData) -> bool:
    """Whether the pass of a series was stopped by somebody, or a limit, or broke off with its
    recorder, while its processes went on."""
    pass_, role = series.attrs["pass"], series.attrs["role"]
    rows = [row for row in data.meta.get("passes") or () if row["pass"] == pass_]
    ends = [row.get("ended_seconds") for row in processes_of(data, role, pass_).values()]
    if data.meta.get("state") == "incomplete" and not any(map(_is_over, rows)):
        return None in ends
    if not any((by := row.get("stopped_by")) and by not in SEEN_OUT for row in rows):
        return False
    stops = [
        float(event["time_seconds"])
        for event in data.meta.get("events") or ()
        if event.get("kind") == "stop" and event.get("pass") == pass_
    ]
    return any(end is None or end >= min(stops, default=0.0) for end in ends)


def _is_over(row: Mapping[str, Any]) -> bool:
    """Whether a recorder closed this pass: how long it took is the last that it writes of it."""
    return row.get("duration_seconds") is not None


def _start_was_seen(data: RunData) -> bool:
    """Whether the run begins with the start of the target, which it did not where it is a file's,
    or where the recorder or the watch came to a process that ran."""
    meta = data.meta
    watched = (meta.get("command") or {}).get("kind") == "watched"
    return not (watched or "import" in meta or (meta.get("options") or {}).get("attached"))


def _of_helper(entry: ResourceVerdict, series: pd.DataFrame, data: RunData) -> ResourceVerdict:
    """A child without marks that was seen only shortly decides nothing.

    Beside processes that mark it is a server or load generator, most often: its start looks like
    growth, so it is judged once it was seen for long enough after that. So is the launcher of what
    went on in the background. Of many that follow one another none keeps for long what it holds.
    """
    count, longest = _short_count(data, entry.role), HELPER_SECONDS
    if not count and entry.verdict != LEAK:
        # A few that hardly start: together they are a sawtooth, which looks bounded.
        count, longest = _hardly_started_count(data, entry.role), START_SECONDS
    if count > 1:
        seconds = span_text(longest, "second")
        why = f"was {count:,} processes, none there for {seconds}: {LISTED}"
        return replace(entry, verdict=INCONCLUSIVE, why=why, more_x=0.0, decides=False)
    marked = any(one.get("mark_count") for one in data.meta.get("processes", ()))
    end_x = float(series["x"].iloc[-1])
    enough = len(series) >= MINIMUM_POINTS
    begins = marked or entry.role == LAUNCHER
    seen = _ended_seconds(data, entry.role)
    # A tracer makes the life of a helper longer, and not what there is to see of it.
    long = end_x - entry.baseline_x >= HELPER_SECONDS
    long = long and (seen >= HELPER_SECONDS or entry.verdict == LEAK)
    if enough and (not begins or long):
        return entry
    # The same for all its resources: told once for all of them.
    seen_text = span_text(seen if math.isfinite(seen) else end_x, "second")
    what = "before the target went on" if entry.role == LAUNCHER else "in a child process"
    why = f"was seen for {seen_text} {what}: {LISTED}"
    return replace(entry, verdict=INCONCLUSIVE, why=why, more_x=0.0, decides=False)


def _ended_seconds(data: RunData, role: str) -> float:
    """How long the processes of a role were there, first to last; infinite where one goes on, or
    was stopped by the recorder."""
    pass_ = untraced_pass(data)
    rows = processes_of(data, role, pass_).values()
    stopped = any(one.get("stopped_by") for one in data.meta.get("passes") or ())
    ends = [row.get("ended_seconds") for row in rows]
    if not ends or None in ends or stopped:
        return math.inf
    begun = min(float(row.get("started_seconds") or 0.0) for row in rows)
    return max(float(end) for end in ends if end is not None) - begun


def _short_count(data: RunData, role: str) -> int:
    """How many processes a role had, where many were short ones that one row stands for, and the
    others were no longer there than a helper must be seen; else 0."""
    rows = processes_of(data, role, untraced_pass(data)).values()
    counts = [int(row.get("process_count") or 1) for row in rows]
    # A row that stands for many has short ones only, over a time in which most of it none was.
    lives = [
        math.inf
        if row.get("ended_seconds") is None
        else row["ended_seconds"] - row["started_seconds"]
        for row, count in zip(rows, counts, strict=True)
        if count == 1
    ]
    is_short = len(lives) < len(counts) and max(lives, default=0.0) < HELPER_SECONDS
    return sum(counts) if is_short else 0


def _hardly_started_count(data: RunData, role: str) -> int:
    """How many processes a role had, where all of them have ended and none lived for a start."""
    rows = processes_of(data, role, untraced_pass(data)).values()
    ends = [(row.get("started_seconds") or 0.0, row.get("ended_seconds")) for row in rows]
    over = [end is not None and end - begin < START_SECONDS for begin, end in ends]
    return len(over) if all(over) else 0
