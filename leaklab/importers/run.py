"""A reading as a run: kept in a store, or held in memory."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from leaklab.importers.reading import Member, Reading, Series

if TYPE_CHECKING:
    import pandas as pd

    from leaklab.store import RunData

# Figures of other tools were taken from processes that no tracer slowed down; those beside a heap
# come from the traced one.
PASS, TRACED_PASS = "measure", "explain"
_BATCH_ROWS = 1 << 16


def run_meta(
    reading: Reading,
    name: str,
    variant: str | None,
    limit_bytes: float | None,
    *,
    given: bool = True,
) -> dict[str, Any]:
    """Return run.json of a reading. ``given``: the name was, and is not that of a file."""
    pass_ = pass_of(reading)
    processes = [_process(number, member, pass_) for number, member in enumerate(reading.members)]
    ends = [process["ended_seconds"] or 0.0 for process in processes]
    limits = {**_limits(reading), **({"memory_bytes": limit_bytes} if limit_bytes else {})}
    argv = next((list(member.argv) for member in reading.members if member.argv), [])
    events = [_event("import", f"{reading.title}: {reading.understood}")]
    events += [_event("import", note) for note in (*reading.notes, *_restarts(reading))]
    meta = {
        "name": name,
        "name_given": given,
        "variant": variant,
        "command": {
            "argv": argv,
            "kind": "program",
            "python": None,
            **({"capture": reading.title} if pass_ == TRACED_PASS else {}),
        },
        "options": {"passes": [pass_]},
        "limits": limits,
        "import": {
            "format": reading.title,
            "judged": list(reading.judged),
            "cautions": reading.cautions,
            "role_limits": reading.role_limits,
            "siblings": reading.siblings,
            "timed": _timed(reading),
            "restarts_told": reading.restarts_told,
            "work": reading.work,
            "only": reading.only if {m.role for m in reading.members} == {"main"} else "",
        },
        "processes": processes,
        "events": events,
        "passes": [
            {
                "pass": pass_,
                "started": _iso(reading.started),
                "duration_seconds": max(ends, default=0.0),
                "exit_status": None,
                "signal": None,
                "stopped_by": None,
                "stdout_tail": "",
                "stderr_tail": "",
                "traced": pass_ == TRACED_PASS,
                "why_untraced": None if pass_ == TRACED_PASS else "imported",
            }
        ],
    }
    if reading.started is not None:
        meta["created"] = _iso(reading.started)
    return meta


def _limits(reading: Reading) -> dict[str, float]:
    """The limits of the run: that of a role is the run's own where there is no other role."""
    if {member.role for member in reading.members} == reading.role_limits.keys():
        known = set(reading.role_limits.values())
        if len(known) == 1:
            return {**reading.limits, "cgroup_memory_bytes": known.pop()}
    return reading.limits


def _timed(reading: Reading) -> bool:
    """Whether it is known when the figures were taken; those of a heap are in its tables."""
    series = [series for member in reading.members for series in member.series]
    return reading.timed and (not series or any(len(_finite(part.seconds)) for part in series))


def _event(kind: str, text: str) -> dict[str, Any]:
    return {"time_seconds": None, "pass": None, "process": None, "kind": kind, "text": text}


def _iso(epoch: float | None) -> str | None:
    if epoch is None:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))


def pass_of(reading: Reading) -> str:
    """Return the pass that the figures of a reading are of: traced where it has a heap."""
    return TRACED_PASS if "snapshots" in reading.tables else PASS


def _process(number: int, member: Member, pass_: str) -> dict[str, Any]:
    seconds = [_finite(series.seconds) for series in member.series]
    ends = [part[-1] for part in seconds if len(part)]
    marks = [series.marks for series in member.series if series.marks is not None]
    return {
        "process": number,
        "pass": pass_,
        "pid": member.pid,
        "parent": None,
        "role": member.role,
        "argv": list(member.argv),
        "python": None,
        "mark_count": int(max(float(np.nanmax(part)) for part in marks)) if marks else 0,
        "started_seconds": min((float(part[0]) for part in seconds if len(part)), default=0.0),
        "ended_seconds": float(max(ends)) if ends else None,
        "exit_status": None,
        "traced": pass_ == TRACED_PASS,
        "note": None,
    }


def _finite(values: Any) -> Any:
    return np.sort(values[np.isfinite(values)])


def _restarts(reading: Reading) -> list[str]:
    """One note a role on the restarts that the file tells, with their times."""
    notes = []
    for role in dict.fromkeys(member.role for member in reading.members):
        begins = sorted(_span(member) for member in reading.members if member.role == role)
        cuts = [later[0] for earlier, later in pairwise(begins) if later[0] >= earlier[1]]
        if cuts:
            times = ", ".join(_moment(reading.started, cut) for cut in cuts[:3])
            whose = "" if role == "main" else f" of {role}"
            more = f" and {len(cuts) - 3} more" if len(cuts) > 3 else ""
            word = "restart" if len(cuts) == 1 else "restarts"
            notes.append(f"{len(cuts)} {word}{whose} cut out ({times}{more})")
    return notes


def _span(member: Member) -> tuple[float, float]:
    parts = [_finite(series.seconds) for series in member.series]
    parts = [part for part in parts if len(part)]
    if not parts:
        return math.inf, -math.inf
    return float(min(part[0] for part in parts)), float(max(part[-1] for part in parts))


def _moment(started: float | None, seconds: float) -> str:
    if started is None:
        return f"after {seconds:,.0f} s"
    return time.strftime("%a %d %b %H:%M", time.gmtime(started + seconds)) + " UTC"


def sample_columns(number: int, series: Series, pass_: str) -> dict[str, Any]:
    """Return the rows of one series for the table of samples, as arrays by column."""
    count = len(series.values)
    columns: dict[str, Any] = {
        "pass": [pass_] * count,
        "process": np.full(count, number, np.int32),
        "time_seconds": series.seconds,
        "quiescent": np.zeros(count, bool),
        "name": [series.name] * count,
        "value": series.values,
    }
    if series.marks is not None:
        columns["mark"] = series.marks.astype(np.int64)
    return columns


def in_memory(reading: Reading, meta: Mapping[str, Any]) -> RunData:
    """Return the run, kept nowhere."""
    import pandas as pd

    from leaklab.store import RunData

    frames: list[pd.DataFrame] = []
    for number, member in enumerate(reading.members):
        for series in member.series:
            frame = pd.DataFrame(sample_columns(number, series, pass_of(reading)))
            if "mark" not in frame:
                frame["mark"] = pd.array([None] * len(frame), dtype="Int64")
            frames.append(frame.astype({"mark": "Int64"}))
    tables = {name: pd.DataFrame(rows) for name, rows in reading.tables.items()}
    if frames:
        tables["samples"] = pd.concat(frames, ignore_index=True)
    return RunData.from_tables(dict(meta), **tables)


def stored(reading: Reading, meta: Mapping[str, Any], store: str) -> str:
    """Write the run to ``store`` and return its folder; LeaklabError where it cannot be written."""
    from leaklab.store import RunWriter

    writer = RunWriter.create(store, str(meta["name"]), meta["variant"], meta)
    state = "incomplete"
    try:
        for number, member in enumerate(reading.members):
            for series in member.series:
                _append(writer, sample_columns(number, series, pass_of(reading)))
        for table, rows in reading.tables.items():
            writer.append(table, rows)
        state = "complete"
    finally:
        writer.close(state)
    return writer.path


def _append(writer: Any, columns: Mapping[str, Sequence[Any]]) -> None:
    count = len(columns["value"])
    for begin in range(0, count, _BATCH_ROWS):
        part = {name: values[begin : begin + _BATCH_ROWS] for name, values in columns.items()}
        writer.append(
            "samples",
            {n: v.tolist() if hasattr(v, "tolist") else v for n, v in part.items()},
        )
