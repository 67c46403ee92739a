"""Results as plain text for a terminal or a log.

Names of functions, files and gauges come from the target, which may be hostile: nothing of it
reaches the terminal that a terminal could obey.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from leaklab.present.formatting import amount, kept_text, three_digits, worth_showing
from leaklab.resources import is_bytes

if TYPE_CHECKING:
    from leaklab.present.protocol import ShownComparison, ShownResource, ShownRun

SHOWN_SUSPECT_COUNT = 5
SHOWN_PATH_COUNT = 5
SHOWN_EVENT_COUNT = 5
KEPT_FREE_SHARE = 0.2


def safe(text: object) -> str:
    """Return ``text`` in one line, with what a terminal would obey written as an escape.

    Control characters (C0, C1, so every escape sequence), line separators and the marks that turn
    the direction of text around become ``\\x1b`` and the like.
    """
    return "".join(
        char
        if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else char.encode("unicode_escape").decode("ascii")
        for char in str(text)
    )


def quantity(value: float | None, resource: str = "") -> str:
    """Return a figure with its unit: ``20.2 kB``, ``0.25``; ``-`` if it was not measured."""
    if value is None or not math.isfinite(value):
        return "-"
    if resource and is_bytes(resource):
        return amount(resource, value)
    return f"{value:,.0f}" if value == round(value) else three_digits(value)


def rate(resource: ShownResource) -> str:
    """Return a resource's growth rate with its unit; ``-`` where none could be estimated."""
    text = quantity(resource.rate, resource.name)
    return text if text == "-" else f"{text}/{resource.unit}"


def table(rows: Sequence[Sequence[str]], indent: str = "  ") -> list[str]:
    """Return ``rows`` (the first is the heading) as lines with aligned columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        (indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
        .rstrip()
        for row in rows
    ]  # fmt: skip


def run_text(run: ShownRun) -> str:
    """Return what ``leaklab show`` prints: verdict, resources, suspects, what retains them."""
    verdict = run.verdict()
    lines = [f"{safe(run.label)}: {verdict.verdict}", f"  {safe(verdict.reason)}"]
    lines += [f"  {line}" for line in _circumstances(run)]
    if verdict.resources:
        rows = [("resource", "verdict", "rate", "first", "last")]
        rows += [
            (_name(r), r.verdict, rate(r), quantity(r.first, r.name), quantity(r.last, r.name))
            for r in verdict.resources
        ]
        lines += ["", *table(rows), ""]
        lines += [
            f"  {_name(r)}: {safe(r.reason)}" for r in verdict.resources if r.verdict != "bounded"
        ]
    left = run.time_left()
    if left is not None:
        lines.append(f"  {safe(left)}")
    lines += _kept_free_lines(run)
    suspects = run.suspects()
    shown = worth_showing(suspects).head(SHOWN_SUSPECT_COUNT)
    lines += _suspect_lines(shown.to_dict("records"))
    lines += _retention_lines(run.retention().head(SHOWN_PATH_COUNT).to_dict("records"))
    return "\n".join(lines)


def headline(run: ShownRun) -> list[str]:
    """Return the verdict and the first suspects in a few lines."""
    verdict = run.verdict()
    lines = [f"{safe(run.label)}: {verdict.verdict}", f"  {safe(verdict.reason)}"]
    if verdict.verdict == "leak":
        first = run.suspects().head(3).to_dict("records")
        lines += [
            f"  {row['rank']}. {safe(row['function'])}  {safe(row['file'])}:{row['line']}"
            for row in first
        ]
    return lines


def _name(resource: ShownResource) -> str:
    name = resource.name if resource.role == "main" else f"{resource.name} ({resource.role})"
    return safe(name)


def _circumstances(run: ShownRun) -> Iterable[str]:
    meta = run.meta
    yield f"run {safe(run.path or meta['run_id'])} ({safe(meta['state'])})"
    for entry in meta["passes"]:
        for what in (_ending(entry), kept_text(entry)):
            if what:
                yield f"{safe(entry.get('pass'))} pass: {what}"
    # What the user asked for (phases of a drive, a stop) is said already, or is no news.
    events = [event for event in meta["events"] if event.get("kind") not in ("phase", "stop")]
    for event in events[:SHOWN_EVENT_COUNT]:
        yield f"{safe(event.get('kind'))}: {safe(event.get('text'))}"
    hidden = len(events) - SHOWN_EVENT_COUNT
    if hidden > 0:
        yield f"and {hidden} more events (--json lists them)"


def _ending(entry: dict[str, Any]) -> str:
    """What was out of the ordinary in how a pass ended, if anything."""
    if entry.get("stopped_by"):
        return f"stopped by {safe(entry['stopped_by'])}"
    if entry.get("out_of_memory"):
        return "the kernel has killed the target for want of memory"
    if entry.get("signal"):
        return f"the target was killed by signal {safe(entry['signal'])}"
    if entry.get("exit_status"):
        return f"the target ended with exit status {safe(entry['exit_status'])}"
    return ""


def _kept_free_lines(run: ShownRun) -> Iterable[str]:
    """What allocators keep free, where it is much: not a leak, and how to get it back."""
    resident = run.verdict().resource("rss_bytes")
    for row in run.kept_free().to_dict("records"):
        if resident is not None and row["bytes"] > KEPT_FREE_SHARE * resident.last:
            yield (
                f"  {safe(row['part'])}: {quantity(row['bytes'], 'rss_bytes')} of resident memory; "
                f"{safe(row['way_back'])}"
            )
    for row in run.tried().to_dict("records"):
        yield (
            f"  tried {row['way']}: resident memory ends at "
            f"{quantity(row['rss_bytes'], 'rss_bytes')} instead of "
            f"{quantity(row['usual_bytes'], 'rss_bytes')} ({row['verdict']}, was "
            f"{row['usual_verdict']})"
        )


def _suspect_lines(suspects: Sequence[Mapping[Any, Any]]) -> Iterable[str]:
    if not suspects:
        return
    yield ""
    yield "  suspects: where what stays is allocated"
    for row in suspects:
        share = row["share"]
        share_text = "" if share is None or math.isnan(share) else f", {share:.0%} of the growth"
        per = row.get("unit") or "iteration"
        yield (
            f"  {row['rank']}. {safe(row['function'])}  {safe(row['file'])}:{row['line']}  "
            f"{quantity(row['rate'], 'heap_bytes')}/{per}, "
            f"{quantity(row['live_bytes'], 'heap_bytes')} live{share_text}"
        )
        if isinstance(row.get("known"), str):
            yield f"     known: {safe(row['known'])}"
        for path in row.get("retained_by") or ():
            yield f"     kept by {safe(path)}"
        callers = [
            f"{safe(frame['function'])} {safe(frame['file'])}:{frame['line']}"
            for frame in row.get("stack") or ()
        ]
        if len(callers) > 1:
            yield f"     called from {' < '.join(callers[1:4])}"


def _retention_lines(paths: Sequence[Mapping[Any, Any]]) -> Iterable[str]:
    if not paths:
        return
    yield ""
    yield "  retained by: what keeps it alive"
    for row in paths:
        per = (
            "" if row["rate"] is None else f", {quantity(row['rate'], 'heap_bytes')}/{row['unit']}"
        )
        yield (
            f"  {safe(row['accumulation_point'])} ({safe(row['holder_type'])}) holds "
            f"{quantity(row['count'])} {safe(row['type'])}: {quantity(row['growth_count'])} more, "
            f"{quantity(row['retained_bytes'], 'heap_bytes')} retained{per}"
        )
        yield f"     as {safe(row['path'])}"


def type_text(name: str, paths: Sequence[Mapping[Any, Any]]) -> str:
    """Return what ``leaklab show --object TYPE`` prints."""
    lines = []
    for row in paths:
        lines.append(
            f"{quantity(row['count'])} {safe(row['type'])}, "
            f"{quantity(row['retained_bytes'], 'heap_bytes')} retained: {safe(row['path'])}"
        )
        if row["rate"] is not None:
            lines.append(
                f"   {quantity(row['growth_count'])} more since warm-up, "
                f"{quantity(row['rate'], 'heap_bytes')}/{row['unit']}"
            )
    return "\n".join(lines) or f"nothing is known of what keeps {safe(name)} alive"


def comparison_text(comparison: ShownComparison) -> str:
    """Return what ``leaklab compare`` prints: outcome, resources, sites that went and came."""
    lines = [str(comparison.outcome), f"  {safe(comparison.reason)}"]
    rows = [("resource", "outcome", "before", "after", "ratio", "because")]
    for row in comparison.resources.to_dict("records"):
        name = str(row["name"])
        rows.append(
            (
                safe(name),
                safe(row["outcome"]),
                f"{safe(row['before_verdict'])} {quantity(row['before_rate'], name)}/{row['unit']}",
                f"{safe(row['after_verdict'])} {quantity(row['after_rate'], name)}/{row['unit']}",
                quantity(row["ratio"]),
                safe(row["reason"]),
            )
        )
    if len(rows) > 1:
        lines += ["", *table(rows)]
    sites = [row for row in comparison.sites.to_dict("records") if row["outcome"] != "unchanged"]
    if sites:
        lines += ["", "  sites"]
        lines += [
            f"  {safe(row['outcome'])}: {safe(row['function'])}  {safe(row['file'])}:{row['line']}"
            f"  {quantity(row['before_rate'], 'heap_bytes')} to "
            f"{quantity(row['after_rate'], 'heap_bytes')}"
            for row in sites[:10]
        ]
    return "\n".join(lines)
