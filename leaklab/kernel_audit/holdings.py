"""The rows of an audit: each group, and the groups that free something only together."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from leaklab.kernel_audit.lines import called, together
from leaklab.present.formatting import amount

# Kind of what a library holds, mostly: it is found by its size, not under a name.
ELSEWHERE = "elsewhere"
# What several groups share is a row of its own from this share of everything on.
_LEAST_SHARED = 0.001


@dataclass(frozen=True)
class Holding:
    """What goes free when its line is executed.

    key: what it is told by from audit to audit. bytes: what the line frees. kind: name, out,
    traceback, figures, cache, thread, task, event (a callback of IPython's), call (of an event
    loop), atexit, context (a context variable), widgets, handler (of logging), cycles (garbage not
    collected yet), shared (held by several, whose lines all have to be executed), or elsewhere
    (where something hangs that no line is known for). line: empty where none frees it.
    detail: (path, bytes) of what most of it is. beyond_bytes: what of its bytes no smaller holding
    inside it frees as well (a class holds the cache of its method).
    """

    key: str
    bytes: int
    title: str
    line: str
    kind: str
    type: str
    cell: int | None
    names: tuple[str, ...]
    detail: tuple[tuple[str, int], ...]
    beyond_bytes: int

    def bytes_text(self) -> str:
        """The bytes with their unit."""
        return amount("heap_bytes", self.bytes)

    def line_text(self) -> str:
        """The line, or that there is none."""
        none = "no line is known" if self.kind == ELSEWHERE else "none: it goes when that ends"
        return self.line or f"({none})"

    def detail_text(self) -> str:
        """What most of it is: ``local rows 31 MiB``; empty where the title says it."""
        return ", ".join(f"{path} {amount('heap_bytes', size)}" for path, size in self.detail)

    def text(self) -> str:
        """Title, cell and detail in one line."""
        cell = f", In [{self.cell}]" if self.cell and f"In [{self.cell}]" not in self.title else ""
        detail = self.detail_text()
        return f"{self.title}{cell}{f' ({detail})' if detail else ''}"


def holdings(groups: Sequence[dict[str, Any]], table: dict[str, Any]) -> list[Holding]:
    """Return the holdings of an inventory with the figures of the analysis, the largest first."""
    freed = table["freed_bytes"]
    rows = []
    inside = [0] * len(groups)
    for size, above in zip(freed, table["enclosing"], strict=True):
        if above >= 0:
            inside[above] += size
    for group, size, detail, less in zip(groups, freed, table["detail"], inside, strict=True):
        if size:
            rows.append(
                Holding(
                    key=group["key"],
                    bytes=size,
                    title=group["title"],
                    line=group["line"],
                    kind=group["kind"],
                    type=group["type"],
                    cell=group["cell"],
                    names=tuple(group["names"]),
                    detail=_shortened(group, detail, size),
                    beyond_bytes=size - less,
                )
            )
    least = _LEAST_SHARED * table["seen_bytes"]
    shared = [(frozenset(numbers), size) for numbers, size in table["shared"]]
    for numbers, size in shared:
        if size >= least:
            within = sum(more for others, more in shared if others <= numbers)
            members = [groups[number] for number in sorted(numbers)]
            rows.append(_together(members, within + sum(freed[number] for number in numbers)))
    rows += _cycles(table["cycles"])
    rows += map(_elsewhere, table["elsewhere"])
    return sorted(rows, key=lambda one: -one.bytes)


def _cycles(found: dict[str, Any]) -> list[Holding]:
    """Return what nothing holds but itself, until the collector comes."""
    if not found["bytes"]:
        return []
    return [
        Holding(
            key="uncollected cycles",
            bytes=found["bytes"],
            title=f"uncollected cycles, {found['object_count']:,} objects",
            line=called("gc", "collect();", sys.modules["__main__"].__dict__),
            kind="cycles",
            type="",
            cell=None,
            names=(),
            detail=tuple((name, size) for name, size in found["detail"]),
            beyond_bytes=found["bytes"],
        )
    ]


def _elsewhere(place: dict[str, Any]) -> Holding:
    """Return what hangs at a place that no group holds."""
    kind, count = place["type"].rpartition(".")[2], place["count"]
    what = f"{count:,} × {kind}" if count > 1 else kind
    return Holding(
        key=f"{ELSEWHERE} {place['path']} {place['type']}",
        bytes=place["bytes"],
        title=f"{place['path']}: {what}",
        line="",
        kind=ELSEWHERE,
        type=place["type"],
        cell=None,
        names=(),
        detail=(),
        beyond_bytes=place["bytes"],
    )


def _together(members: list[dict[str, Any]], size: int) -> Holding:
    """Return what several groups free when all their lines are executed."""
    keys = [member["key"] for member in members]
    names = [name for member in members for name in member["names"] or [member["key"]]]
    cells = {member["cell"] for member in members}
    return Holding(
        key=" + ".join(keys),
        bytes=size,
        title=f"shared by {', '.join(names)}: free when all are gone",
        line=together(member["line"] for member in members),
        kind="shared",
        type="",
        cell=cells.pop() if len(cells) == 1 else None,
        names=(),
        detail=(),
        beyond_bytes=size,
    )


def _shortened(group: dict[str, Any], detail: list[list[Any]], size: int) -> tuple[Any, ...]:
    """Return the detail without the group's own name before it, and without what is all of it."""
    shown: dict[str, list[int]] = {}
    for path, part in detail:
        short = path.removeprefix(group["key"]).removeprefix(" → ").lstrip(".")
        _, found, local = short.rpartition("local ")
        short = local if found else short
        if short and not (len(detail) == 1 and part > 0.98 * size):
            shown.setdefault(short, []).append(part)
    return tuple(
        (path if len(each) == 1 else f"{len(each)} × {path}", sum(each))
        for path, each in shown.items()
    )
