"""Growth by label as lines: which route or task grows, and how much the others can at most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from leaklab.present.formatting import amount, interval_text, named
from leaklab.present.terminal import safe

if TYPE_CHECKING:
    from leaklab.present.protocol import ShownRun

SHOWN_LABEL_COUNT = 5


def label_lines(run: ShownRun) -> Iterator[str]:
    """Yield a line for each resource and role whose growth is told by label."""
    rows = run.labels().to_dict("records")
    if not rows:
        return
    yield ""
    yield "  growth by label, per call"
    resources_of: dict[str, list[str]] = {}
    for resource, role in dict.fromkeys((row["resource"], row["role"]) for row in rows):
        mine = [row for row in rows if (row["resource"], row["role"]) == (resource, role)]
        resources_of.setdefault(sentence(mine), []).append(safe(named(resource, role)))
    for said, resources in resources_of.items():
        yield f"  {', '.join(resources)}: {said}"


def sentence(rows: Sequence[Mapping[Any, Any]]) -> str:
    """Return one resource's growth by label in a sentence.

    rows: of `leaklab.findings.labels.labels`, one resource and role. Example: ``GET /export: 312
    KiB each (298 KiB to 327 KiB); the other 11: none seen, at most 2 KiB``.
    """
    growing = [row for row in rows if row["verdict"] == "leak"]
    open_ones = [row for row in rows if row["verdict"] == "inconclusive"]
    quiet = [row for row in rows if row["verdict"] == "bounded"]
    parts = [_growing(row) for row in growing[:SHOWN_LABEL_COUNT]]
    if len(growing) > SHOWN_LABEL_COUNT:
        parts.append(f"{len(growing) - SHOWN_LABEL_COUNT} more grow")
    parts += map(_undecided, together(open_ones))
    if quiet:
        most = max(row["rate_high"] for row in quiet)
        who = safe(quiet[0]["label"]) if len(quiet) == 1 else f"{len(quiet)} labels"
        if parts and len(quiet) > 1:
            who = f"the other {len(quiet)}"
        parts.append(f"{who}: none seen, at most {amount(quiet[0]['resource'], most)}")
    return "; ".join(parts)


def _growing(row: Mapping[Any, Any]) -> str:
    interval = interval_text(row["resource"], row["rate_low"], row["rate_high"])
    return f"{safe(row['label'])}: {amount(row['resource'], row['rate'])} each ({interval})"


def together(rows: Sequence[Mapping[Any, Any]]) -> list[list[Mapping[Any, Any]]]:
    """Return the rows such that what is undecided of one resource for one reason is together."""
    groups: dict[Any, list[Mapping[Any, Any]]] = {}
    for number, row in enumerate(rows):
        same = (row["resource"], row.get("role"), row["reason"])
        key = same if row["verdict"] == "inconclusive" else number
        groups.setdefault(key, []).append(row)
    return list(groups.values())


def labels_text(rows: Sequence[Mapping[Any, Any]]) -> str:
    """Return the labels of some rows in words, the most of many by their number."""
    names = [str(row["label"]) for row in rows]
    more = len(names) - SHOWN_LABEL_COUNT
    if more > 1:
        return f"{', '.join(names[:SHOWN_LABEL_COUNT])} and {more} more"
    return ", ".join(names)


def _undecided(rows: Sequence[Mapping[Any, Any]]) -> str:
    highs = [row["rate_high"] for row in rows if row["rate_high"] == row["rate_high"]]
    most = f", at most {amount(rows[0]['resource'], max(highs))}" if highs else ""
    return f"{safe(labels_text(rows))}: {rows[0]['reason']}{most}"
