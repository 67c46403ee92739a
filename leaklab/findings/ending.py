"""How a run came to its end: memory of all its processes, limits that were near, who held what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import pandas as pd

from leaklab.analysis.series import as_floats, processes_of, roles, summed, untraced_pass
from leaklab.findings.missing_graph import GRAPH_PASSES, why_no_graph
from leaklab.present.formatting import amount
from leaklab.resources import noun
from leaklab.verdict.limits import (
    DESCRIPTORS,
    met_by_all,
    met_together,
    own_limit,
    smallest_limit,
)
from leaklab.verdict.resources import LEAK, ResourceVerdict, title
from leaklab.verdict.time_left import NEAR_SHARE

if TYPE_CHECKING:
    from leaklab.store import RunData

# What is told by others is told by more than this share of it.
MOST = 0.5


@dataclass(frozen=True)
class Resident:
    """Resident memory up to the end: columns time_seconds and value (bytes).

    limit: what it counts against, in bytes and by name; None where that counts others as well.
    """

    title: str
    figures: pd.DataFrame
    limit: tuple[float, str] | None = None


@dataclass(frozen=True)
class LastGraph:
    """Who held what: columns path, type, count and retained_bytes; whose graph it was, or "".

    missing: why there is none (`leaklab.findings.missing_graph`), "" where there is.
    """

    held: pd.DataFrame
    whose: str = ""
    missing: str = ""


def resident(data: RunData, pass_: str | None = None) -> list[Resident]:
    """Return resident memory as its limit counts it: of all processes, then of each role.

    Where each process or role has a limit of its own, of each role with that. Without ``pass_``, in
    the untraced one.
    """
    by_role = {role: _figures(data, [role], pass_=pass_) for role in roles(data, pass_)}
    by_role = {role: figures for role, figures in by_role.items() if len(figures)}
    first = next(iter(by_role), "main")
    shared = smallest_limit(data.meta, first)
    name = shared[1] if shared else ""
    together = all(met_together(data.meta, first, role, name) for role in by_role)
    if len(by_role) > 1 and "import" not in data.meta and together:
        figures = _figures(data, list(by_role), pass_=pass_)
        whole = Resident("resident memory of all processes", figures, shared)
        return [whole, *(Resident(f"of it {role}", each) for role, each in by_role.items())]
    found = []
    for role, figures in by_role.items():
        limit = smallest_limit(data.meta, role)
        limit = limit and met_by_all(data.meta, role, limit)
        found.append(Resident(title("resident memory", role), figures, limit))
    return found


def _figures(
    data: RunData, of: list[str], name: str = "rss_bytes", pass_: str | None = None
) -> pd.DataFrame:
    """Resident memory of all processes of these roles, up to their very end; or another figure."""
    pass_ = pass_ or untraced_pass(data)
    members = {
        number: entry for role in of for number, entry in processes_of(data, role, pass_).items()
    }
    points = data.samples_of(name) if len(data.samples) else pd.DataFrame()
    if not len(points):
        return points
    keep = points["pass"].eq(pass_) & points["process"].isin(list(members))
    points = points[keep & points["value"].notna()]
    points = points.sort_values("time_seconds", kind="stable")
    time_seconds = as_floats(points["time_seconds"])
    value = as_floats(points["value"])
    if len(points):
        value = summed(points["process"].to_numpy(), time_seconds, value, members)
    return pd.DataFrame({"time_seconds": time_seconds, "value": value})


def near_limits(data: RunData) -> list[str]:
    """Return a line for each limit but that on memory which was nearly reached, and by whom."""
    together = (_near_together(data, name) for name in ("thread_count", "shm_bytes"))
    return [*_near_descriptors(data), *chain(*together)]


def _near_together(data: RunData, name: str) -> list[str]:
    """Return a line for each group of roles that had nearly all of what they may together."""
    left = dict.fromkeys(role for role in roles(data) if len(_figures(data, [role], name)))
    found = []
    while left:
        first = next(iter(left))
        limit = own_limit(data.meta, name, first)
        if limit is None:
            del left[first]
            continue
        members = [role for role in left if met_together(data.meta, first, role, limit[1])]
        left = dict.fromkeys(role for role in left if role not in members)
        most = float(_figures(data, members, name)["value"].max())
        if most >= NEAR_SHARE * limit[0]:
            who = title(name, first) if len(members) == 1 else f"{name} of all"
            full = amount(name, most).removesuffix(f" {noun(name, most)}")
            found.append(f"{who} came to {full} of {amount(name, limit[0])} ({limit[1]})")
    return found


def _near_descriptors(data: RunData) -> list[str]:
    """Return a line for each role one of whose processes had nearly all the descriptors it may."""
    points = data.samples_of("fd_count") if len(data.samples) else pd.DataFrame()
    highest: dict[Any, float] = {}
    if len(points):
        highest = points.groupby("process")["value"].max().to_dict()
    fullest: dict[str, tuple[float, float, int]] = {}
    for entry in data.meta.get("processes") or ():
        limit, most = entry.get("descriptor_limit"), highest.get(entry.get("process"))
        if limit and most is not None and most >= NEAR_SHARE * limit:
            role = str(entry.get("role") or "main")
            found = (float(most) / limit, float(most), int(limit))
            fullest[role] = max(found, fullest.get(role, found))
    return [
        f"{title('fd_count', role)} came to {most:,.0f} of {limit:,} {noun('fd_count')} "
        f"({DESCRIPTORS})"
        for role, (_, most, limit) in fullest.items()
    ]


def last_graph(data: RunData, resources: Sequence[ResourceVerdict], limit: int) -> LastGraph:
    """Return the last whole object graph of the role whose resident memory has grown most.

    Of those that have one; what leaks counts before what a start takes.
    """
    leaked = {
        one.role: one.last - one.first
        for one in resources
        if one.name == "rss_bytes" and one.verdict == LEAK
    }
    dumps = data.graph_dumps
    dumps = dumps[dumps["state"] == "complete"] if len(dumps) else dumps
    if not len(dumps):
        return LastGraph(pd.DataFrame(), missing=why_no_graph(data, _nearest(data)))
    entries = {int(entry["process"]): entry for entry in data.meta.get("processes") or ()}
    role_of = {number: str(entry.get("role") or "main") for number, entry in entries.items()}
    with_graph = dict.fromkeys(role_of.get(int(number), "main") for number in dumps["process"])
    chosen = max(with_graph, key=lambda role: (leaked.get(role, 0.0), _growth(data, role)))
    mine = dumps[[role_of.get(int(number), "main") == chosen for number in dumps["process"]]]
    mine = mine[mine["pass"] == mine["pass"].iloc[-1]]
    last = mine.sort_values("time_seconds", kind="stable").iloc[-1]
    table = data.paths
    of_it = (table["process"] == last["process"]) & (table["dump"] == last["dump"])
    whose = ""
    if len(set(role_of.values())) > 1:
        pid = entries.get(int(last["process"]), {}).get("pid")
        whose = f"{chosen}, pid {pid}" if pid else chosen
    return LastGraph(outermost(table[(table["tree"] == "path") & of_it], limit), whose)


def _nearest(data: RunData) -> tuple[float, tuple[float, str]] | None:
    """Return the highest resident memory of what has a limit, and that; the fullest of several."""
    known = [
        (float(one.figures["value"].max()), one.limit)
        for pass_ in GRAPH_PASSES
        for one in resident(data, pass_)
        if one.limit
    ]
    return max(known, key=lambda one: one[0] / one[1][0], default=None)


def _growth(data: RunData, role: str) -> float:
    figures = _figures(data, [role])
    return float(figures["value"].max() - figures["value"].iloc[0]) if len(figures) else 0.0


def outermost(table: pd.DataFrame, limit: int) -> pd.DataFrame:
    """Return the path nodes that retain most, each part of the memory once.

    One object of which others, one each, retain most (a module, by its names) is told by those;
    what hangs below what is told is not told again. Nothing of leaklab's own.
    """
    table = table[table["kind"] != "leaklab"]
    table = table.sort_values("retained_bytes", ascending=False, kind="stable")
    rows: list[dict[Any, Any]] = table.to_dict("records")
    parent = _holders(rows)
    by_one: Counter[int] = Counter()
    for row in rows:
        if row["count"] == 1:
            by_one[parent[row["node"]]] += row["retained_bytes"]
    told: list[int] = []
    for row in rows:
        above = parent[row["node"]]
        while above in parent and above not in told:
            above = parent[above]
        by_others = row["count"] == 1 and by_one[row["node"]] > MOST * row["retained_bytes"]
        if above not in told and not by_others:
            told.append(row["node"])
        if len(told) == limit:
            break
    return table[table["node"].isin(told)].reset_index(drop=True)


def _holders(rows: Sequence[Mapping[Any, Any]]) -> dict[int, int]:
    """Return the node that holds each node: of a module's names that is its dict, which has its
    path and is a node beside them."""
    path = {row["node"]: row["path"] for row in rows}
    own = {row["parent"]: row["node"] for row in rows if row["path"] == path.get(row["parent"])}
    return {
        row["node"]: row["parent"]
        if own.get(row["parent"]) == row["node"]
        else own.get(row["parent"], row["parent"])
        for row in rows
    }
