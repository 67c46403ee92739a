"""Which call made the descriptors, threads, children and tasks that stay.

The counterpart of suspects for what is counted instead of measured in bytes: one row per line of
the target's own code that made what is there more and more of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leaklab.analysis.series import as_floats, processes_of, went_down_seconds
from leaklab.analysis.sites import Sites, group_sites, site_fingerprint
from leaklab.analysis.work import within_work
from leaklab.verdict.suspects import describe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leaklab.store import RunData

    Floats = NDArray[np.float64]

COLUMNS = (
    "rank",
    "resource",
    "kind",
    "how",
    "function",
    "file",
    "line",
    "stack",
    "count",
    "growth_count",
    "rate",
    "unit",
    "share",
    "subject",
    "confidence",
    "fingerprint",
    "role",
)
# What is none of these is a descriptor.
RESOURCE_OF_KIND = {
    "thread": "thread_count",
    "child": "child_count",
    "task": "task_count",
    "segment": "shm_count",
}
DESCRIPTORS = "fd_count"
CONFIDENCE = {"made": "high", "runs": "medium", "alike": "low"}
# Looks before this share of the work show warm-up.
_WARM_UP_SHARE = 0.2
_FEWEST_LOOKS = 4


def origins(data: RunData, *, role: str | None = None, limit: int = 20) -> pd.DataFrame:
    """Return the lines that made what grows in number, by resource, fastest growth first.

    Columns: rank (from 1, within the resource), resource (fd_count, thread_count, child_count,
    task_count, shm_count), kind (file, socket, pipe, thread, ...), how (``made`` by this line;
    ``alike``: by this line or another one that opens a file of that name; ``runs``: what a thread
    runs or where a task waits, as who made it is not known), function, file, line, stack (list of
    {function, file, line}, most recent call first; null fields where nothing is known), count (at
    the last look of its work), growth_count (since warm-up), rate (per unit), unit ("iteration" or
    "second"), share (of what the resource gained, 0 to 1), subject (path, ends of a socket or name
    of one of them), confidence (high, medium, low; null without a line), fingerprint, role.

    Of all roles, or of one. Empty where the heap was not recorded: only that pass looks at it.

    >>> run.origins()[["function", "line", "rate"]]
    """
    if not len(data.origins):
        return pd.DataFrame(columns=list(COLUMNS))
    roles = dict.fromkeys(
        str(entry.get("role", "main")) for entry in data.meta.get("processes", ())
    )
    rows = [row for one in roles if role in (None, one) for row in _of_role(data, one, limit)]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    # A number or nothing: as floats they would be printed with a point.
    frame["line"] = pd.Series([row["line"] for row in rows], dtype=object)
    return frame


def _of_role(data: RunData, role: str, limit: int) -> list[dict[str, Any]]:
    looks = data.origins
    members = processes_of(data, role, "explain")
    looks = looks[looks["process"].isin(list(members))]
    looks = looks[within_work(looks, members)]
    if not len(looks):
        return []
    ids = np.unique(looks["stack_id"].dropna().to_numpy(np.int64))
    sites = group_sites(data.stacks, data.frames, ids)
    code = np.searchsorted(ids, looks["stack_id"].fillna(0).to_numpy(np.int64))
    known = looks["stack_id"].notna().to_numpy()
    looks = looks.assign(
        resource=[RESOURCE_OF_KIND.get(str(kind), DESCRIPTORS) for kind in looks["kind"]],
        code=np.where(known, code, -1),
        site=np.where(known, sites.of_stack[np.minimum(code, len(ids) - 1)], -1)
        if len(ids)
        else -1,
    )
    rows = []
    for resource in looks["resource"].unique():
        # Once the target goes down, as its series is cut off there, a line has nothing left.
        ended_seconds = went_down_seconds(data, str(resource), role, "explain")
        seen = looks[looks["time_seconds"] < ended_seconds]
        work = _work(seen, members)
        found = [
            row
            for _, mine in seen[seen["resource"] == resource].groupby(["kind", "site"], sort=False)
            if (row := _row(work, mine, sites)) is not None
        ]
        whole = sum(row["growth_count"] for row in found)
        found.sort(key=lambda row: (-row["growth_count"], str(row["file"]), row["line"] or 0))
        for rank, row in enumerate(found[:limit], start=1):
            rows.append(
                row
                | {
                    "rank": rank,
                    "resource": str(resource),
                    "share": row["growth_count"] / whole,
                    "role": role,
                }
            )
    return rows


@dataclass(frozen=True)
class _Work:
    """What the processes of a role did after warm-up, whether or not anything grew in them.

    span: units of work of all of them together, or the seconds in which any was looked at.
    times_of: the times of each one's looks; begin_of: the look that ends its warm-up.
    """

    span: float
    unit: str
    times_of: dict[Any, pd.Index[Any]]
    begin_of: dict[Any, int]


def _work(looks: pd.DataFrame, members: dict[int, dict[str, Any]]) -> _Work:
    """What the members did that were looked at often enough, or had nothing to look at."""
    marks, times_of, begin_of = [], {}, {}
    windows: list[tuple[float, float]] = []
    for process, entries in looks.groupby("process"):
        x, unit = _positions(entries)
        begin = int(np.searchsorted(x.to_numpy(), _WARM_UP_SHARE * x.iloc[-1]))
        if len(x) < _FEWEST_LOOKS or begin >= len(x) - 1:
            continue
        times_of[process], begin_of[process] = x.index, begin
        windows.append((float(x.index[begin]), float(x.index[-1])))
        if unit == "iteration":
            marks.append(float(x.iloc[-1] - x.iloc[begin]))
    # Each process counts its own marks; one that gives none, as a server's parent, does no unit.
    unseen = set(members) - set(looks["process"])
    others = sum(members[number].get("mark_count") or 0 for number in unseen)
    span = sum(marks) + (1 - _WARM_UP_SHARE) * others if marks else _covered(windows)
    return _Work(span, "iteration" if marks else "second", times_of, begin_of)


def _covered(windows: list[tuple[float, float]]) -> float:
    """How long at least one of the windows lasted."""
    covered, reached = 0.0, -np.inf
    for begin, end in sorted(windows):
        covered += max(end - max(begin, reached), 0.0)
        reached = max(end, reached)
    return covered


def _row(work: _Work, mine: pd.DataFrame, sites: Sites) -> dict[str, Any] | None:
    """One kind of thing made at one site; None where there are not ever more of it."""
    growth, last, steadily = 0.0, 0.0, False
    for process, entries in mine.groupby("process"):
        if process not in work.begin_of:
            continue
        times, begin = work.times_of[process], work.begin_of[process]
        counts = entries.groupby("time_seconds")["count"].sum().reindex(times, fill_value=0)
        values = counts.to_numpy(float)
        middle = (begin + len(values)) // 2
        last += values[-1]
        growth += values[-1] - values[begin]
        steadily |= bool(values[-1] > values[middle] > values[begin])
    if not steadily or growth <= 0 or work.span <= 0:
        return None
    # Calls that open the same file are told apart after the first look: most of them tell.
    newest = mine[mine["time_seconds"] == mine["time_seconds"].iloc[-1]]
    newest = newest.loc[newest["count"].idxmax()]
    code = int(newest["code"])
    place = (
        describe(sites, int(sites.frame[int(newest["site"])]))
        if code >= 0
        else {"function": None, "file": None, "line": None}
    )
    how = str(newest["how"]) if code >= 0 else None
    return {
        "kind": str(newest["kind"]),
        "how": how,
        **place,
        "stack": [describe(sites, int(row)) for row in sites.rows(code)] if code >= 0 else [],
        "count": int(last),
        "growth_count": int(growth),
        "rate": growth / work.span,
        "unit": work.unit,
        "subject": (newest["subject"] or None) if isinstance(newest["subject"], str) else None,
        "confidence": CONFIDENCE.get(how or ""),
        "fingerprint": site_fingerprint(sites, code, int(newest["site"])) if code >= 0 else None,
    }


def _positions(looks: pd.DataFrame) -> tuple[pd.Series[Any], str]:
    """Where the looks of a process lie: marks if it gives any, else seconds; by time.

    A look before the first mark saw what came before the work: it has no place among the marks.
    """
    points = looks.drop_duplicates("time_seconds").set_index("time_seconds")["mark"].sort_index()
    marks = as_floats(points)
    marked = np.isfinite(marks)
    first = int(marked.argmax())
    if marked[first:].all() and len(marks) - first >= _FEWEST_LOOKS:
        return pd.Series(marks[first:], index=points.index[first:]), "iteration"
    return pd.Series(points.index.to_numpy(float), index=points.index), "second"
