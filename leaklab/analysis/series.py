"""One resource over the run: the figures of all processes of a role, summed at each moment.

A leak in workers is seen when their parent is flat because processes of one role are merged, and
never mixed with another role. The horizontal axis is marks ended in the role where the target
marks its units of work, or nothing told the time, else seconds since the start of the pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leaklab import resources
from leaklab.analysis.in_use import BLOCKS, MALLOC, in_use_points
from leaklab.analysis.kernels_own import own_bytes
from leaklab.analysis.lives import longest_life
from leaklab.analysis.looks import evenly, unmixed
from leaklab.analysis.work import after_imports, within_work

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leaklab.store import RunData

    Floats = NDArray[np.float64]

# Fewer marks than this say nothing about growth per mark; seconds are then the better axis.
MINIMUM_MARKS = 8
MINIMUM_FIGURES = 3

# So many figures taken after a collection, with no gap between them longer than this share of the
# run, stand for all that were taken as time went by.
MINIMUM_SETTLED = 12
SETTLED_GAP = 0.15

# A fall of this share of the whole range at once, in the last twentieth of the points, is the end.
TEARDOWN_SHARE = 0.1
# So is, where a program was seen to end, the loss of this share bit by bit, so many times as fast
# as the whole range came about: what rises and falls by itself takes as long for either.
SHUTDOWN_SHARE, SHUTDOWN_PACE = 0.5, 5

# Measured at the explain pass, where the allocations are; everything else comes from the
# measure pass, whose processes memray does not touch.
HEAP = "heap_bytes"


def resource_names(data: RunData) -> list[str]:
    """Names of the resources that were measured in this run, in the order they are reported."""
    seen = set(data.samples["name"].dropna().unique()) if len(data.samples) else set()
    if len(data.snapshots):
        seen.add(HEAP)
    if seen & {MALLOC, BLOCKS}:
        seen.add(resources.IN_USE)
    names = [name for name in resources.judged_names() if name in seen]
    for prefix in resources.family_prefixes():
        names += sorted(name for name in seen if str(name).startswith(prefix))
    return names


def processes_of(data: RunData, role: str, pass_: str) -> dict[int, dict[str, Any]]:
    """The entries of ``meta["processes"]`` of one role and pass, by process number."""
    return {
        int(entry["process"]): entry
        for entry in data.meta.get("processes", ())
        if entry.get("role", "main") == role and entry.get("pass", pass_) == pass_
    }


def untraced_pass(data: RunData) -> str:
    """The pass whose series are judged: its processes ran without the tracer.

    The measure pass; where there was none, the pass with object graphs. Where the heap was traced
    and nothing else was recorded, as in a capture of memray, it is that pass after all.
    """
    passes = {entry.get("pass") for entry in data.meta.get("processes", ())}
    return next((one for one in ("measure", "graph", "explain") if one in passes), "measure")


def has_clock(meta: dict[str, Any]) -> bool:
    """Return whether it is known when the figures of a run were taken.

    An import may know only after how many units of work; its seconds, if any, then mean nothing.
    """
    return bool((meta.get("import") or {}).get("timed", True))


def roles(data: RunData, pass_: str | None = None) -> list[str]:
    """Roles of the processes of one pass, "main" first, then in order of appearance.

    Without ``pass_``, of the untraced one.
    """
    pass_ = pass_ or untraced_pass(data)
    found = [
        entry.get("role") or "main"
        for entry in data.meta.get("processes", ())
        if entry.get("pass", pass_) == pass_
    ]
    return sorted(dict.fromkeys(found), key=lambda role: role != "main")


def resource_series(
    data: RunData,
    name: str,
    *,
    pass_: str | None = None,
    role: str = "main",
) -> pd.DataFrame:
    """One resource of one role over the run.

    Columns: x (marks ended in the role, or seconds), time_seconds, mark, value, quiescent.
    ``attrs``: unit ("iteration" or "second"), name, role, pass. ``heap_bytes`` always comes from
    the explain pass, the others from the untraced one unless ``pass_`` names another or only the
    traced program told them. Empty where nothing was measured.
    """
    pass_ = pass_ or _telling_pass(data, name, role)
    if name == HEAP:
        pass_ = "explain"  # noqa: S105
    points, unit, members = chosen_points(data, name, pass_, role)
    if not len(points):
        return _frame(np.empty(0), np.empty(0), np.empty(0), np.empty(0), np.empty(0, bool)).pipe(
            _labelled, unit, name, role, pass_
        )
    marks, quiescent = as_floats(points["mark"]), as_flags(points["quiescent"])
    time_seconds = as_floats(points["time_seconds"])
    process = points["process"].to_numpy()
    value = summed(process, time_seconds, as_floats(points["value"]), members)
    role_marks = summed(process, time_seconds, np.nan_to_num(marks), {})
    x = role_marks if unit == "iteration" else time_seconds
    mark = role_marks if unit == "iteration" else marks
    frame = _frame(x, time_seconds, mark, value, quiescent)
    if unit == "second":
        frame = frame.iloc[: work_end(value, ends=seen_to_end(data))]
    return _labelled(frame, unit, name, role, pass_)


def _telling_pass(data: RunData, name: str, role: str) -> str:
    """Return the pass a resource is judged in: the untraced one, where it was told there.

    Without marks nobody asks a program what only it knows, its tasks: it tells at its exit. The
    tracer's calls do ask, and the number of tasks is none the less.
    """
    untraced = untraced_pass(data)
    resource = resources.find(name)
    if resource is not None and resource.source == "interpreter" and len(data.samples):
        points = data.samples_of(name)
        members = processes_of(data, role, untraced)
        told = points["pass"].eq(untraced) & points["process"].isin(list(members))
        if told.sum() <= len(members) and points["pass"].eq("explain").any():
            return "explain"
    return untraced


def samples_of(data: RunData, name: str) -> pd.DataFrame:
    """Return the samples of one resource, also of one that is a sum of two."""
    summed = name.partition(":")[0] == resources.IN_USE
    return in_use_points(data, name) if summed else data.samples_of(name)


def chosen_points(
    data: RunData, name: str, pass_: str, role: str
) -> tuple[pd.DataFrame, str, dict[int, dict[str, Any]]]:
    """Return the figures to judge a resource by, in order of time, their unit, and the processes.

    Rows of the samples (of the snapshots for the heap, with ``value``), each with its process.
    """
    if name == HEAP:
        points = data.snapshots
        if len(points):
            points = points.assign(value=points["live_bytes"] - own_bytes(data))
    else:
        points = samples_of(data, name)
    members = processes_of(data, role, pass_)
    if len(points):
        wanted = longest_life(members) if name == HEAP else members
        keep = points["pass"].eq(pass_) & points["process"].isin(list(wanted))
        points = points[keep & points["value"].notna()]
        points = points[within_work(points, members)]
        if resources.is_memory(name):
            points = points[after_imports(points, wanted)]
    clock = has_clock(data.meta)
    if not len(points):
        return points, "second" if clock else "iteration", members
    points = points.sort_values("time_seconds", kind="stable")
    marks, quiescent = as_floats(points["mark"]), as_flags(points["quiescent"])
    exact = as_flags(points["exact"]) if name == HEAP else np.ones(len(points), bool)
    time_seconds = as_floats(points["time_seconds"])
    selected, unit = choose_points(marks, exact, quiescent, time_seconds, clock=clock)
    selected[selected] = _even(points[selected], quiescent[selected], unit, members, name)
    return points[selected], unit, members


def choose_points(
    marks: Floats,
    exact: NDArray[np.bool_],
    collected: NDArray[np.bool_],
    time_seconds: Floats,
    *,
    clock: bool = True,
) -> tuple[NDArray[np.bool_], str]:
    """Which figures to judge by, and the unit of x they give.

    The ``exact`` ones of those taken at marks, either all right after a collection (``collected``:
    there is no collection sawtooth in them) or all without one, then any taken at marks. By time
    those that are exact and after a collection where they cover the run, else all of them.
    """
    at_mark = np.isfinite(marks)
    settled = exact & collected
    for candidate in (*unmixed(at_mark & exact, collected, marks), at_mark & exact, at_mark):
        reached = marks[candidate]
        if len(np.unique(reached)) >= MINIMUM_FIGURES and reached.max() >= MINIMUM_MARKS:
            return candidate, "iteration"
    if not clock:
        return at_mark, "iteration"
    timed = np.isfinite(time_seconds)
    settled = settled & timed
    if settled.sum() >= MINIMUM_SETTLED:
        ends = time_seconds[timed][[0, -1]]
        gaps = np.diff(np.concatenate([ends[:1], time_seconds[settled], ends[1:]]))
        if gaps.max() <= SETTLED_GAP * (ends[1] - ends[0]):
            return settled, "second"
    return timed, "second"


def _even(
    points: pd.DataFrame,
    quiescent: NDArray[np.bool_],
    unit: str,
    members: dict[int, dict[str, Any]],
    name: str,
) -> NDArray[np.bool_]:
    """Which of the chosen points are evenly spaced (see leaklab.analysis.looks)."""
    process = points["process"].to_numpy()
    if unit == "second":
        step = "snapshot_step_seconds" if name == HEAP else "sample_step_seconds"
        time_seconds = as_floats(points["time_seconds"])
        return evenly(time_seconds, process, members, step, since_start=True)
    marks = as_floats(points["mark"])
    if name == HEAP:
        return evenly(marks, process, members, "snapshot_step")
    if quiescent.all():
        return evenly(marks, process, members, "collection_step", "snapshot_step", "mark_step")
    return evenly(marks, process, members, "mark_step")


def summed(
    process: NDArray[Any],
    time_seconds: Floats,
    value: Floats,
    members: dict[int, dict[str, Any]],
) -> Floats:
    """Sum over processes of each one's latest value, at every point (points sorted by time).

    A process that ended (``ended_seconds`` in ``members``) no longer counts after its end.
    """
    different = np.unique(process)
    if len(different) == 1:
        return value
    change = np.empty_like(value)
    ends: list[tuple[float, float]] = []
    for number in different:
        mine = np.flatnonzero(process == number)
        change[mine] = np.diff(value[mine], prepend=0.0)
        ended = members.get(int(number), {}).get("ended_seconds")
        if ended is not None and ended < time_seconds[-1]:
            ends.append((max(float(ended), time_seconds[mine[-1]]), value[mine[-1]]))
    total: Floats = np.cumsum(change)
    for ended, last in ends:
        total[time_seconds > ended] -= last
    return total


def seen_to_end(data: RunData) -> bool:
    """Return whether a run reaches to the end of its program, as far as that can be told.

    What was recorded does, and the heap that its own tracer wrote; figures from outside need not.
    """
    watched = (data.meta.get("command") or {}).get("kind") == "watched"
    return len(data.snapshots) > 0 or not (watched or "import" in data.meta)


def work_end(values: Floats, *, ends: bool = False) -> int:
    """How many of the points belong to the work: without marks the last ones may show the target
    going down, when everything is given back at once, or bit by bit where the program ``ends``."""
    tail = max(3, len(values) // 20)
    if len(values) < 2 * tail:
        return len(values)
    moves = np.diff(values[-tail - 1 :])
    largest = int(np.argmin(moves))
    whole = float(np.ptp(values))
    kept = (
        len(values) if -moves[largest] <= TEARDOWN_SHARE * whole else len(values) - tail + largest
    )
    return min(kept, _shutdown_begins(values, whole)) if ends else kept


def _shutdown_begins(values: Floats, whole: float) -> int:
    """How many points there are before a last fall, much faster than the growth; all without."""
    tail = len(values) // (SHUTDOWN_PACE + 1) + 1
    last = values[-tail:]
    left = last[tail - 1 - int(np.argmax(last[::-1])) :]
    kept, lost = len(values) - len(left) + 1, float(left[0] - left[-1])
    slow = lost * kept < SHUTDOWN_PACE * whole * (len(left) - 1)
    rises = float((left - np.minimum.accumulate(left)).max())
    if lost <= SHUTDOWN_SHARE * whole or slow or rises > TEARDOWN_SHARE * lost:
        return len(values)
    return kept


def went_down_seconds(data: RunData, name: str, role: str, pass_: str) -> float:
    """When a resource's work was over, going by its own figures; infinity where they say nothing.

    Seconds of the run. At marks nobody needs to ask: what comes after the last one is not judged.
    """
    points, unit, members = chosen_points(data, name, pass_, role)
    if not len(points) or unit != "second":
        return float("inf")
    time_seconds = as_floats(points["time_seconds"])
    values = as_floats(points["value"])
    total = summed(points["process"].to_numpy(), time_seconds, values, members)
    kept = work_end(total, ends=seen_to_end(data))
    return float(time_seconds[kept]) if kept < len(total) else float("inf")


def as_floats(column: pd.Series[Any]) -> Floats:
    """The column as floats, with NaN for null."""
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def as_flags(column: pd.Series[Any]) -> NDArray[np.bool_]:
    """The column as booleans; null counts as false."""
    if column.dtype == np.bool_:
        return column.to_numpy()
    return np.fromiter((value is not None and value == True for value in column), bool)  # noqa: E712


def _frame(
    x: Floats, time_seconds: Floats, mark: Floats, value: Floats, quiescent: NDArray[np.bool_]
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "x": x,
            "time_seconds": time_seconds,
            "mark": mark,
            "value": value,
            "quiescent": quiescent,
        }
    )


def _labelled(frame: pd.DataFrame, unit: str, name: str, role: str, pass_: str) -> pd.DataFrame:
    frame.attrs.update({"unit": unit, "name": name, "role": role, "pass": pass_})
    return frame
