"""What keeps the growth alive: path nodes that grow from dump to dump, and where they come from.

The path nodes of several dumps are matched by fingerprint. What grows below one accumulation point
is one leak group (:mod:`leaklab.findings.leak_groups`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leaklab.analysis.heap import heap_timeline
from leaklab.analysis.lives import longest_life
from leaklab.analysis.series import processes_of
from leaklab.analysis.work import within_work
from leaklab.findings.leak_groups import MATERIAL_BYTES, Group, kept_bytes, leak_groups, weakly_held
from leaklab.findings.moved_paths import told_alike
from leaklab.findings.piles import LEAST_PER_UNIT, beside_what_piles_up, once_a_thread
from leaklab.findings.retention_sites import GroupGrowth, Part, match_growth
from leaklab.findings.site_growth import sites_between
from leaklab.findings.table_entries import add_untold, as_entries
from leaklab.object_graph.paths import KEPT_BYTES, KEPT_COUNT
from leaklab.present.formatting import BEGINNING_SHARE
from leaklab.verdict.heap_study import study_heap

if TYPE_CHECKING:
    from leaklab.store import RunData

COLUMNS = (
    "path",
    "type",
    "holder",
    "accumulation_point",
    "holder_type",
    "count",
    "growth_count",
    "retained_bytes",
    "growth_bytes",
    "rate",
    "unit",
    "fingerprint",
    "suspect_rank",
    "suspect_ranks",
    "confidence",
    "evidence",
    "role",
)
# What hardly looks like a leak is told only where it gains this share of the largest group's bytes.
_WEAK_SHARE = 0.2
# Types of classes, which an import makes once. (Graphs may lack small objects such as functions.)
_CLASS_TYPES = ("type", "abc.ABCMeta", "enum.EnumType", "enum.EnumMeta")
_PASSES = ("explain", "graph", "measure")


def retention(data: RunData, *, role: str | None = None, limit: int = 20) -> pd.DataFrame:
    """Return one row per leak group, the one that gained most bytes first.

    Columns: path (of the objects that pile up), type (theirs), holder (the name in the source that
    their path begins with), accumulation_point (path of what they pile up in) and holder_type (its
    type), count and retained_bytes (at the last dump; the bytes of the whole group and of what it
    piles up in), growth_count and growth_bytes (since the first dump after warm-up), rate (bytes
    per unit), unit ("iteration" or "second"), fingerprint (the same leak in another run has the
    same one), suspect_rank and suspect_ranks (rows of ``suspects`` of the same role that allocate
    it; null and empty where none matches), confidence ("high", "medium", "low" or null), evidence
    (why, in words), role.

    Of all roles, or of one: each through its first process with two complete dumps. Empty where
    there is none.
    """
    roles = dict.fromkeys(
        str(entry.get("role", "main")) for entry in data.meta.get("processes", ())
    )
    parts = [_of_role(data, one, limit) for one in roles if role in (None, one)]
    rows = [row for part in parts for row in part]
    rows.sort(key=lambda row: (row["_weak"], -row["growth_bytes"]))
    return pd.DataFrame(rows[:limit], columns=list(COLUMNS))


def _of_role(data: RunData, role: str, limit: int) -> list[dict[str, Any]]:
    growth = growth_by_path(data, role=role)
    if growth is None:
        return []
    rows, early = _rows(data, role, growth, limit)
    study = study_heap(data, role=role)
    if not early or not study or not study.leaking or _lead(rows):
        return rows
    # Where imports took most of the work, the graphs of it tell of them; what the leak has left
    # may still be there when the main program is through.
    later = growth_by_path(data, role=role, after_work=True)
    if later is None or later[1] == growth[1]:
        return rows
    found, _ = _rows(data, role, later, limit)
    return found if _lead(found) else rows


def _lead(rows: list[dict[str, Any]]) -> bool:
    """Whether what the first suspect allocates is held by one of them."""
    return any(1 in row["suspect_ranks"] for row in rows)


def _rows(
    data: RunData, role: str, growth: tuple[pd.DataFrame, tuple[float, float], str], limit: int
) -> tuple[list[dict[str, Any]], bool]:
    """The rows of one choice of graphs, and whether the first was taken too early."""
    table, window, unit = growth
    span = window[1] - window[0]
    rows = [_row(table, group, span, unit) for group in leak_groups(table)]
    process = int(table["process"].iloc[0])
    early = _imports_may_show(data, role, process, window, unit)
    if early:
        rows = [row for row in rows if row["type"] != "module"]
    rows = beside_what_piles_up(once_a_thread(rows), span)
    least = max([MATERIAL_BYTES, *(row["growth_bytes"] * _WEAK_SHARE for row in rows)])
    rows = [
        row for row in rows if row["_sure_bytes"] >= (least if row["_weak"] else MATERIAL_BYTES)
    ]
    rows.sort(key=lambda row: (row["_weak"], -row["growth_bytes"]))
    rows = rows[:limit]
    if not rows:
        return [], early
    grown = [row["_growth"] for row in rows]
    sites = sites_between(data, window, role=role, process=process)
    found = match_growth(grown, sites, span)
    for row, match in zip(rows, found, strict=True):
        row["role"] = role
        row["suspect_ranks"] = list(match.ranks)
        row["suspect_rank"] = match.ranks[0] if match.ranks else None
        row["confidence"], row["evidence"] = match.confidence, match.evidence
    study = study_heap(data, role=role)
    # Where the heap was traced only later, nobody knows what its lines did before.
    if early and study and study.leaking and study.timeline.x[0] <= window[0]:
        # What hangs on modules and came before the growth is of no line of it: imports brought it.
        growing = {site.rank for site in sites if site.keeps_growing}
        rows = [
            row
            for row in rows
            if row["_kind"] in ("thread", "task") or growing & {*row["suspect_ranks"]}
        ]
    return rows, early


def _imports_may_show(
    data: RunData, role: str, process: int, window: tuple[float, float], unit: str
) -> bool:
    """Whether the first graph was taken before the growth began, for want of another one."""
    return window[0] < _warm_up_end(data, role, unit, "explain", process)


def holders_of_type(data: RunData, type_name: str, *, limit: int = 20) -> pd.DataFrame:
    """Return where the objects of a type hang at the last dump, most retained bytes first.

    ``type_name``: a part of the type's name. Columns: path, type, holder, count, growth_count,
    retained_bytes, growth_bytes, rate (bytes per unit; null with one dump), unit. Empty without
    dumps.
    """
    growth = growth_by_path(data)
    if growth is None:
        dumps = data.graph_dumps
        complete = dumps[dumps["state"] == "complete"]
        if not len(complete):
            return pd.DataFrame()
        last = complete.iloc[-1]
        table = data.paths
        table = table[
            (table["tree"] == "path")
            & (table["process"] == last["process"])
            & (table["dump"] == last["dump"])
        ].copy()
        table["growth_count"] = table["growth_bytes"] = table["rate"] = table["unit"] = None
    else:
        table, window, unit = growth
        table["rate"] = table["growth_bytes"] / (window[1] - window[0])
        table["unit"] = unit
    mine = table[table["kind"] != "leaklab"]
    mine = mine[mine["type"].astype(str).str.contains(type_name, regex=False)]
    mine = mine.sort_values("retained_bytes", ascending=False, kind="stable").head(limit)
    mine = mine.assign(holder=mine["path"].astype(str).str.partition(" → ")[0])
    columns = ["path", "type", "holder", "count", "growth_count", "retained_bytes"]
    return mine[[*columns, "growth_bytes", "rate", "unit"]].reset_index(drop=True)


def growth_by_path(
    data: RunData, *, role: str = "main", after_work: bool = False
) -> tuple[pd.DataFrame, tuple[float, float], str] | None:
    """Return the path nodes of the last dump with their growth, from where to where, and in what.

    Those that share a fingerprint, such as what hangs on classes that each call makes anew, are
    one with the figures of all. Columns as the table ``paths`` of the last dump, plus growth_count,
    growth_shallow_bytes, growth_bytes (retained), steady_count and steady_size (never fell from
    dump to dump), may_be_old (was too small to be told in the first dump, or not there). None with
    fewer than two dumps. after_work: see `dumps_after_warm_up`.
    """
    chosen = dumps_after_warm_up(data, role, after_work=after_work)
    if chosen is None:
        return None
    process, numbers, window, unit = chosen
    paths = data.paths
    paths = paths[(paths["process"] == process) & (paths["tree"] == "path")]
    paths = told_alike(paths[paths["dump"].isin(numbers)], numbers)
    table = _distinct(paths[paths["dump"] == numbers[-1]])
    paths = as_entries(paths, table)
    figures = _by_dump(paths, table["fingerprint"], numbers)
    add_untold(figures, paths, table, numbers)
    for column, by_dump in figures.items():
        table[column] = by_dump[:, -1].astype(np.int64)
    first = _first_dump(table, figures["count"])
    every = np.arange(len(table))
    for name, column in (
        ("growth_count", "count"),
        ("growth_shallow_bytes", "shallow_bytes"),
        ("growth_bytes", "retained_bytes"),
    ):
        table[name] = figures[column][:, -1] - figures[column][every, first]
    told = figures["count"][every, first] > 0
    table["may_be_old"] = ~told & (table["count"] < KEPT_COUNT).to_numpy()
    table["steady_count"] = _steady(figures["count"]) & _goes_on(figures["count"])
    table["steady_size"] = _steady(figures["shallow_bytes"])
    return table, window, unit


def _first_dump(table: pd.DataFrame, counts: np.ndarray) -> np.ndarray:
    """Return the dump (column of ``counts``) from which on each path node's growth is counted.

    The first; below a module that was imported later, or a class that it has got since (it was in
    the middle of its import), the first that has it. What an import brings is no growth:
    that is what comes to it afterwards.
    """
    in_module = (table["kind"] == "module").to_numpy()
    parent = table["parent"].to_numpy(dtype=np.int64)
    root = np.arange(len(table))  # of each node
    global_ = root.copy()  # what hangs on the root above it
    while (above := parent[root] >= 0).any():
        global_[above] = root[above]
        root[above] = parent[root[above]]
    path = table["path"].to_numpy()
    is_class = (table["type"].isin(_CLASS_TYPES) & (table["count"] == 1)).to_numpy()
    is_class = is_class | (path == path[root])  # a module's own dict
    source = np.where(is_class[global_], global_, root)
    first: np.ndarray = np.argmax(counts[source] > 0, axis=1)
    return np.where(in_module, first, 0)


def _distinct(nodes: pd.DataFrame) -> pd.DataFrame:
    """The first path node of each fingerprint, below the first one of its parent's.

    Each with the sum of all would be counted as often as there are of them.
    """
    codes, distinct = pd.factorize(nodes["fingerprint"].astype(object))
    place = pd.Series(codes, index=nodes["node"].to_numpy(dtype=np.int64))
    first = nodes[~nodes["fingerprint"].duplicated().to_numpy()].reset_index(drop=True)
    parent = place.reindex(first["parent"].to_numpy(dtype=np.int64), fill_value=-1)
    return first.assign(node=np.arange(len(distinct)), parent=parent.to_numpy())


def _by_dump(
    paths: pd.DataFrame, fingerprints: pd.Series[Any], numbers: list[int]
) -> dict[str, np.ndarray]:
    """Count and sizes of the path nodes: one array a figure, a row a node, a column a dump."""
    codes, distinct = pd.factorize(paths["fingerprint"].astype(object))
    column = pd.Index(numbers).get_indexer(pd.Index(paths["dump"]))
    used = column >= 0
    row = pd.Index(distinct).get_indexer(pd.Index(fingerprints.to_numpy(object)))
    figures = {}
    for name in ("count", "shallow_bytes", "retained_bytes"):
        values = paths[name].to_numpy(dtype=float, na_value=0.0)[used]
        places = codes[used] * len(numbers) + column[used]
        sums = np.bincount(places, weights=values, minlength=len(distinct) * len(numbers))
        figures[name] = sums.reshape(len(distinct), len(numbers))[row]
    return figures


def dumps_after_warm_up(
    data: RunData, role: str, *, after_work: bool = False
) -> tuple[int, list[int], tuple[float, float], str] | None:
    """Choose the process and its dumps after warm-up; the marks or seconds they span.

    When its main program is through, what its functions had in their variables is gone, or
    garbage: a dump from then counts only for want of two from its work, or if ``after_work``.
    """
    dumps = data.graph_dumps
    if not len(dumps):
        return None
    complete = dumps[dumps["state"] == "complete"]
    members = {entry["process"]: entry for entry in data.meta["processes"]}
    for pass_ in _PASSES:
        members_of_role = processes_of(data, role, pass_)
        # Of several lives rather that one by which the heap is judged.
        for process in {**longest_life(members_of_role), **members_of_role}:
            mine = complete[(complete["process"] == process) & (complete["pass"] == pass_)]
            if len(mine) < 2:
                continue
            at_work = within_work(mine, members)
            if at_work.sum() >= 2 and not after_work:
                mine = mine[at_work]
            marks = mine["mark"].astype("Float64")
            by_mark = marks.notna().all() and marks.nunique() > 1
            position = (marks if by_mark else mine["time_seconds"]).to_numpy(dtype=float)
            numbers = mine["dump"].to_numpy()
            order = np.argsort(position, kind="stable")
            position, numbers = position[order], numbers[order]
            unit = "iteration" if by_mark else "second"
            begin = _warm_up_end(data, role, unit, pass_, process)
            warm = position >= max(begin, BEGINNING_SHARE * position[-1])
            if warm.sum() < 2:
                warm[-2:] = True
            position, numbers = position[warm], numbers[warm]
            whole = float(members[process].get("mark_count") or 0) if by_mark else 0.0
            if position[-1] < BEGINNING_SHARE * whole:
                continue  # what its beginning was like says nothing of its end
            if position[-1] > position[0]:
                window = float(position[0]), float(position[-1])
                return process, numbers.tolist(), window, unit
    return None


def _warm_up_end(data: RunData, role: str, unit: str, pass_: str, process: int) -> float:
    """Where the growth that is told begins, in marks of the process or seconds; 0 where it cannot
    be told.

    The end of warm-up, or later: what a program is loaded from may come in for most of a run.
    """
    study = study_heap(data, role=role)
    # Seconds of another pass are not those of the heap's.
    if study is None or study.timeline.unit != unit:
        return 0.0
    if unit == "second" and pass_ != "explain":  # noqa: S105
        return 0.0
    told = min((float(one.growth.x[0]) for one in study.leaking), default=0.0)
    begin = max(study.baseline, int(np.searchsorted(study.timeline.x, told)))
    own = heap_timeline(data, role=role, process=process)
    if own is None or own.unit != unit:
        return float(study.timeline.x[begin])
    # What the whole role had done by then is more than one of several processes has.
    ended = study.timeline.time_seconds[begin]
    return float(own.x[min(int(np.searchsorted(own.time_seconds, ended)), own.column_count - 1)])


def _steady(values: np.ndarray) -> np.ndarray:
    """Whether each row (a path node, one column per dump) never fell, or seldom of many dumps."""
    kept: np.ndarray = (np.diff(values, axis=1) >= 0).mean(axis=1)
    return kept == 1 if values.shape[1] < 5 else kept >= 0.75


def _goes_on(counts: np.ndarray) -> np.ndarray:
    """Whether each row still grew from the last dump but one; with two it is not known."""
    going: np.ndarray = counts[:, -1] > counts[:, -2]
    return going if counts.shape[1] > 2 else np.ones(len(counts), dtype=bool)


def _row(table: pd.DataFrame, group: Group, span: float, unit: str) -> dict[str, Any]:
    members, tops = set(group.members), group.tops
    gains, shallow = (table[f"growth_{name}bytes"].to_numpy() for name in ("", "shallow_"))
    main = max(tops, key=lambda node: gains[node])
    growth = kept_bytes(gains, shallow, group)
    kept = kept_bytes(table["retained_bytes"], table["shallow_bytes"], group)
    counts = table["growth_count"].to_numpy()
    # What another module held as well may have been there all along, and be told once it does not.
    doubtful_count = int(table["may_be_old"].iloc[tops].sum())
    grown = [node for node in sorted(members | {group.holder}) if shallow[node] > 0]
    parts = [
        Part(float(shallow[node]) / span, float(counts[node]) / span, str(type_))
        for node, type_ in zip(grown, table["type"].iloc[grown], strict=True)
    ]
    point = str(table["path"].iloc[group.holder])
    kind = str(table["kind"].iloc[main])
    return {
        "path": str(table["path"].iloc[main]),
        "type": str(table["type"].iloc[main]),
        "holder": point.partition(" → ")[0],
        "accumulation_point": point,
        "holder_type": str(table["type"].iloc[group.holder]),
        "count": int(table["count"].iloc[main]),
        "growth_count": int(counts[main]),
        "retained_bytes": int(kept),
        "growth_bytes": int(growth),
        "rate": growth / span,
        "unit": unit,
        "fingerprint": str(table["fingerprint"].iloc[main]),
        "_kind": kind,
        "_sure_bytes": growth - KEPT_BYTES * doubtful_count,
        "_growth": GroupGrowth(growth / span, tuple(parts)),
        # What is no object of the target's own explains little, however large it is.
        "_weak": kind in ("native", "cycle", "class")
        or weakly_held(table, group)
        or (counts[main] > 0 and counts[main] / span < LEAST_PER_UNIT and unit == "iteration"),
    }
