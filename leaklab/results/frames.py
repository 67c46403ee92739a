"""A run's figures as DataFrames for an analysis of one's own: over time, by function or package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from leaklab.analysis.heap import heap_timeline
from leaklab.analysis.series import HEAP, resource_names, resource_series
from leaklab.analysis.sites import Sites, group_sites
from leaklab.errors import UsageError
from leaklab.present.formatting import line_text
from leaklab.verdict.resources import examine
from leaklab.verdict.suspects import describe

if TYPE_CHECKING:
    from leaklab.store import RunData

GROUPINGS = ("function", "line", "package", "stack", "thread")
_THREADING = "stdlib/threading.py"
_KEYS = {
    "function": ["function", "file"],
    "line": ["function", "file", "line"],
    "package": ["package"],
    "stack": ["stack_id", "stack_text"],
    "thread": ["thread"],
}


def package_of(file: str) -> str:
    """Whose a file is: an installed package's name, "stdlib", "target", "native" without a file."""
    first, _, rest = file.partition("/")
    if first == "site-packages":
        return rest.partition("/")[0].removesuffix(".py")
    if first == "stdlib":
        return "stdlib"
    return "target" if file else "native"


def stack_rows(suspects: pd.DataFrame, stacks: str) -> pd.DataFrame:
    """Return a row for each call of each suspect's stack, the innermost first."""
    if stacks != "rows":
        raise UsageError(f"no such form of stacks: {stacks}; allowed: lists, rows")
    rows = [
        (one.rank, depth, call["function"], call["file"], call["line"], package_of(call["file"]),
         one.growth_bytes, one.rate)
        for one in suspects.itertuples(index=False)
        for depth, call in enumerate(cast("list[dict[str, Any]]", one.stack))
    ]  # fmt: skip
    columns = ["suspect", "depth", "function", "file", "line", "package", "growth_bytes", "rate"]
    return pd.DataFrame(rows, columns=columns)


def series_frame(data: RunData, name: str, role: str) -> pd.DataFrame:
    """Return one resource over the run, with what the verdict counts as warm-up."""
    names = resource_names(data)
    if name not in names:
        raise UsageError(f"not measured in this run: {name}; allowed: {', '.join(names)}")
    frame = resource_series(data, name, role=role)
    frame["warm_up"] = False
    if len(frame) > 1:
        growth, _ = examine(frame)
        frame["warm_up"] = frame["x"] < growth.baseline_x
    return frame


def wide_samples(data: RunData, role: str) -> pd.DataFrame:
    """Return every resource of a role as a column; the index is the mark, without any seconds."""
    columns, unit = {}, None
    for name in resource_names(data):
        series = resource_series(data, name, role=role)
        if not len(series) or series.attrs["unit"] != (unit := unit or series.attrs["unit"]):
            continue
        columns[name] = series.drop_duplicates("x").set_index("x")["value"]
        if name == HEAP:
            continue
        times = series.drop_duplicates("x").set_index("x")["time_seconds"]
        columns["time_seconds"] = columns.get("time_seconds", times).combine_first(times)
    frame = pd.DataFrame(columns)
    frame.index.name = "mark" if unit == "iteration" else "seconds"
    first = ["time_seconds"] if "time_seconds" in frame else []
    return frame[first + [name for name in frame if name not in first]]


def heap_frame(data: RunData, by: str, role: str, limit: int | None) -> pd.DataFrame:
    """Return the live heap by group and snapshot, in long form."""
    if by not in GROUPINGS:
        raise UsageError(f"no such grouping: {by}; allowed: {', '.join(GROUPINGS)}")
    columns = [*_KEYS[by], "x", "time_seconds", "live_bytes", "allocation_count"]
    timeline = heap_timeline(data, role=role)
    if timeline is None:
        return pd.DataFrame({name: [] for name in columns})
    sites = group_sites(data.stacks, data.frames, timeline.stack_ids)
    keys = _keys_of_stacks(sites, timeline.stack_ids, by)
    numbers = keys.groupby(_KEYS[by], sort=False, dropna=False).ngroup()
    group = np.asarray(numbers).astype(np.int64)
    count = int(group.max()) + 1
    live = timeline.grouped(group, count)
    calls = timeline.grouped(group, count, count=True)
    order = np.argsort(-live[:, -1], kind="stable")[:limit]
    first = np.unique(group, return_index=True)[1]
    frame = keys.iloc[first[order]].loc[:, _KEYS[by]]
    frame = frame.loc[frame.index.repeat(timeline.column_count)].reset_index(drop=True)
    frame["x"] = np.tile(timeline.x, len(order))
    frame["time_seconds"] = np.tile(timeline.time_seconds, len(order))
    frame["live_bytes"] = live[order].ravel().astype("i8")
    frame["allocation_count"] = calls[order].ravel().astype("i8")
    frame.attrs["unit"] = timeline.unit
    return frame


def _keys_of_stacks(sites: Sites, stack_ids: Any, by: str) -> pd.DataFrame:
    """Return a row per stack with what it may be grouped by."""
    if by == "stack":
        texts = [
            " < ".join(_call(describe(sites, int(row))) for row in sites.rows(number))
            for number in range(len(stack_ids))
        ]
        return pd.DataFrame({"stack_id": stack_ids, "stack_text": texts})
    if by == "thread":
        rows = (sites.rows(number)[::-1].tolist() for number in range(len(stack_ids)))
        return pd.DataFrame({"thread": [_thread(sites, outermost) for outermost in rows]})
    places = pd.DataFrame([describe(sites, int(row)) for row in sites.frame])
    if by == "package":
        # Where the memory is asked for, whoever asked: the innermost frame, not the user's line.
        inner = [
            describe(sites, int(rows[0]) if len(rows) else -1)["file"]
            for rows in (sites.rows(number) for number in range(len(stack_ids)))
        ]
        return pd.DataFrame({"package": [package_of(file) for file in inner]})
    return places.iloc[sites.of_stack].reset_index(drop=True)


def _thread(sites: Sites, outermost: list[int]) -> str:
    """Return what a thread runs by its outermost frames; "main" where none was started for it."""
    if not outermost:
        return "(no Python frame)"
    functions, files = sites.frames["function"].array, sites.frames["file"].array
    if files[outermost[0]] != _THREADING or functions[outermost[0]] != "_bootstrap":
        return "main"
    inside = [row for row in outermost if files[row] != _THREADING]
    return f"{functions[inside[0]]} ({files[inside[0]]})" if inside else "(a thread's start)"


def _call(place: dict[str, Any]) -> str:
    return f"{place['function']} ({line_text(place['file'], place['line'])})"


def graph_frame(data: RunData, dump: int | None, process: int | None) -> pd.DataFrame:
    """Return the path nodes of one object graph; see Run.graph."""
    dumps = data.graph_dumps
    dumps = dumps[dumps["state"] == "complete"] if len(dumps) else dumps
    if process is None and len(dumps):
        process = int(dumps["process"].iloc[0])
    known = sorted(dumps.loc[dumps["process"] == process, "dump"].tolist()) if len(dumps) else []
    if not known:
        raise UsageError("no object graph in this run; record with the explain or the graph pass")
    dump = known[-1] if dump is None else dump
    if dump not in known:
        allowed = ", ".join(map(str, known))
        raise UsageError(f"no such object graph: {dump}; allowed: {allowed}")
    paths = data.paths
    mine = (paths["process"] == process) & (paths["dump"] == dump) & (paths["tree"] == "path")
    return paths[mine].drop(columns=["process", "dump", "tree"]).reset_index(drop=True)


def with_source(data: RunData, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a copy of ``frame`` with the text of each row's line, None where it was not kept."""
    sources = data.sources
    texts = dict(
        zip(zip(sources["file"], sources["line"], strict=True), sources["text"], strict=True)
    )
    found: list[Any] = [
        texts.get(place) for place in zip(frame["file"], frame["line"], strict=True)
    ]
    copy = frame.copy()
    copy["source"] = found
    return copy


def holders_by_rank(paths: pd.DataFrame, role: str) -> dict[int, list[str]]:
    """Return a role's retention paths by the rank of the suspect they keep alive."""
    held: dict[int, list[str]] = {}
    paths = paths[paths["role"] == role]
    for ranks, path in zip(paths["suspect_ranks"], paths["path"], strict=True):
        for rank in ranks:
            held.setdefault(int(rank), []).append(str(path))
    return held
