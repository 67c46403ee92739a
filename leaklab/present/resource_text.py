"""The resources of a run as text: a table, and below it the reasons of what is not bounded."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from leaklab.present.formatting import named, pace
from leaklab.present.shown_resources import shown_resources
from leaklab.present.terminal import quantity, safe

if TYPE_CHECKING:
    from leaklab.present.protocol import ShownResource, ShownRun

# So many of the processes that one has followed are named.
SHOWN_BEFORE_COUNT = 3


def resource_lines(run: ShownRun) -> Iterator[str]:
    """Yield a row for each resource, and why those that are not bounded are not.

    Where it was asked for how long the others are, that too.
    """
    resources = run.verdict().resources
    if not resources:
        return
    shown, others = shown_resources(resources, run.meta)
    rows = [("resource", "verdict", "rate", "first", "last")]
    rows += [
        (name(r), r.verdict, rate(r), quantity(r.first, r.name), quantity(r.last, r.name))
        for r in shown
    ]
    yield ""
    yield from table(rows)
    if others:
        yield f"  {others} (--json lists them)"
    yield from _process_lines(run.meta, {r.role for r in shown})
    yield ""
    horizon = run.horizon_seconds or run.meta.get("horizon_seconds")
    yield from _reason_lines(shown if horizon else [r for r in shown if r.verdict != "bounded"])


def _process_lines(meta: Mapping[str, Any], roles: Collection[str]) -> Iterator[str]:
    """Which process a role was, where its name does not say it: of those that were followed."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in meta.get("processes") or ():
        if row.get("command") and row["role"] in roles:
            found.setdefault(row["role"], []).append(row)
    for role, (*before, last) in found.items():
        pids = ", ".join(str(row["pid"]) for row in before[-SHOWN_BEFORE_COUNT:])
        hidden = len(before) - SHOWN_BEFORE_COUNT
        more = f" and {hidden:,} more" if hidden > 0 else ""
        earlier = f", before it {pids}{more}" if before else ""
        yield f"  {safe(role)} is {safe(last['command'])} (pid {last['pid']}{earlier})"


def name(resource: ShownResource) -> str:
    """Return what a resource is called in a table."""
    return safe(named(resource.name, resource.role))


def rate(resource: ShownResource) -> str:
    """Return a resource's growth rate with its unit, in the pace of its reason.

    What is bounded has no rate to go on with: of it the largest that is not excluded (95 %), ``-``
    where that is none.
    """
    size, word = pace(resource.unit, resource.span)
    if resource.verdict != "bounded":
        return per(quantity(resource.rate * size, resource.name), word)
    if not 0 < resource.excluded < math.inf:
        return "-"
    return f"≤ {per(quantity(resource.excluded * size, resource.name), word)}"


def per(text: str, unit: str | None, by_unit: bool = True) -> str:
    """Return a figure with the unit that it is told by."""
    return f"{text}/{unit}" if by_unit and text != "-" else text


def table(rows: Sequence[Sequence[str]], indent: str = "  ") -> list[str]:
    """Return ``rows`` (the first is the heading) as lines with aligned columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        (indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
        .rstrip()
        for row in rows
    ]  # fmt: skip


def _reason_lines(resources: Sequence[Any]) -> Iterator[str]:
    """One line for all resources of a role that have the same reason."""
    names: dict[tuple[str, str], list[str]] = {}
    for entry in resources:
        names.setdefault((entry.role, entry.reason), []).append(entry.name)
    for (role, reason), alike in names.items():
        yield f"  {safe(named(', '.join(alike), role))}: {safe(reason)}"
