"""Results as plain text for a terminal or a log.

Names of functions, files and gauges come from the target, which may be hostile: nothing of it
reaches the terminal that a terminal could obey.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from leaklab.present.formatting import (
    amount,
    common_unit,
    compared_pace,
    kept_text,
    named,
    worth_showing,
)
from leaklab.present.label_text import label_lines
from leaklab.present.resource_text import per, resource_lines, table
from leaklab.present.site_text import (
    holder_text,
    objects_text,
    one_look_lines,
    origin_lines,
    place_text,
    retention_lines,
    suspect_lines,
)
from leaklab.present.terminal import ending_text, quantity, safe
from leaklab.present.untraced import untraced_text

if TYPE_CHECKING:
    import pandas as pd

    from leaklab.present.protocol import ShownComparison, ShownRun

SHOWN_EVENT_COUNT = 5
CHANGED_COUNT = 10
KEPT_FREE_SHARE = 0.2
# What gives back this share of what leaked is what leaks.
MOST_OF_LEAK = 0.5


def run_text(run: ShownRun) -> str:
    """Return what ``leaklab show`` prints: verdict, resources, suspects, what retains them."""
    verdict = run.verdict()
    lines = [f"{safe(run.label)}: {verdict.verdict}", f"  {safe(verdict.reason)}"]
    lines += [f"  {line}" for line in _circumstances(run)]
    lines += resource_lines(run)
    left = run.limit_text()
    if left is not None:
        lines.append(f"  {safe(left)}")
    lines += [f"  note: {safe(note)}" for note in run.notes()]
    lines += [f"  {line}" for line in kept_free_lines(run)]
    lines += label_lines(run)
    lines += origin_lines(run)
    lines += suspect_lines(run)
    lines += one_look_lines(run)
    lines += retention_lines(run)
    lines += _next_lines(run)
    return "\n".join(lines)


def headline(run: ShownRun) -> list[str]:
    """Return the verdict and the first suspects in a few lines."""
    verdict = run.verdict()
    lines = [f"{safe(run.label)}: {verdict.verdict}", f"  {safe(verdict.reason)}"]
    if verdict.verdict == "leak":
        # Where the heap speaks first, its lines say more than what else was made.
        of_heap = verdict.reason.startswith("heap_bytes")
        first = [] if of_heap else [line for line in origin_lines(run) if line[2:3].isdigit()]
        lines += first[:3] or [
            f"  {row['number']}. {place_text(row)}"
            for row in worth_showing(run).head(3).to_dict("records")
        ]
    return lines


def _next_lines(run: ShownRun) -> Iterable[str]:
    """What to record to get line and holder, after figures that cannot name them."""
    verdict = run.verdict()
    if "import" not in run.meta or verdict.verdict == "bounded" or len(run.suspects()):
        return
    yield ""
    if any(r.unit == "second" and r.verdict == "leak" for r in verdict.resources):
        work = (run.meta["import"] or {}).get("work")
        named = f" (--value {safe(work)}=mark)" if work else " (--value COL=mark)"
        yield (
            "  by time, not by unit of work: traffic may explain it; a count of requests beside it "
            f"tells{named}"
        )
    yield (
        "  next: leaklab record --pid PID --passes graph --traced-window 10s --duration 1h   "
        "names the line and what holds it"
    )


def _circumstances(run: ShownRun) -> Iterable[str]:
    meta = run.meta
    yield f"run {safe(run.path or meta['run_id'])} ({safe(meta['state'])})"
    for entry in meta["passes"]:
        for what in (ending_text(entry), kept_text(entry)):
            if what:
                yield f"{safe(entry.get('pass'))} pass: {what}"
    yield from given_back_lines(run)
    # What the user asked for (phases of a drive, a stop) is said already, or is no news.
    events = [event for event in meta["events"] if event.get("kind") not in ("phase", "stop")]
    # Each pass says the same again; once is enough.
    events = list({(event.get("kind"), event.get("text")): event for event in events}.values())
    events.sort(key=lambda event: event.get("kind") != "no marks")
    for event in events[:SHOWN_EVENT_COUNT]:
        yield f"{safe(event.get('kind'))}: {safe(event.get('text'))}"
    why = untraced_text(meta)
    if why and not any(why in str(event.get("text")) for event in events[:SHOWN_EVENT_COUNT]):
        yield f"heap not traced: {safe(why)}"
    hidden = len(events) - SHOWN_EVENT_COUNT
    if hidden > 0:
        yield f"and {hidden} more events (--json lists them)"


def given_back_lines(run: ShownRun) -> Iterable[str]:
    """What was given back at the end: what leaks is then, too, and is said apart."""
    given = run.given_back()
    entries = [one for one in run.verdict().resources if one.role == "main"]
    leaked = {one.name: one.last - one.first for one in entries if one.verdict == "leak"}
    # Less is something else, such as the sockets of a server that leaks files.
    leaking = {
        row["name"]
        for row in given
        if row["value"] - row["after"] >= MOST_OF_LEAK * leaked.get(row["name"], math.inf)
    }
    released, usual = "released only when it ended, as every leak is", "given back when it ended"
    for leaks, words in ((True, released), (False, usual)):
        amounts = ", ".join(
            f"{safe(row['name'])} {amount(row['name'], row['value'] - row['after'])}"
            for row in given
            if (row["name"] in leaking) == leaks
        )
        if amounts:
            yield f"{words}: {amounts}; judged is the work before that"


def kept_free_lines(run: ShownRun) -> Iterable[str]:
    """What allocators keep free, where it is much: not a leak, and how to get it back."""
    reserved = run.reserved()
    if reserved is not None:
        yield (
            f"heap_bytes: {quantity(reserved[0], 'heap_bytes')} of it is address space that was "
            "reserved and is hardly used: resident memory is "
            f"{quantity(reserved[1], 'rss_bytes')}"
        )
    for row in run.kept_free().to_dict("records"):
        resident = run.verdict().resource("rss_bytes", row["role"])
        if resident is not None and row["bytes"] > KEPT_FREE_SHARE * resident.last:
            yield (
                f"{safe(named(row['part'], row['role']))}: "
                f"{quantity(row['bytes'], 'rss_bytes')} of resident memory; {safe(row['way_back'])}"
            )
    for row in run.tried().to_dict("records"):
        yield (
            f"tried {row['way']}: {safe(named('resident memory', row['role']))} ends at "
            f"{quantity(row['rss_bytes'], 'rss_bytes')} instead of "
            f"{quantity(row['usual_bytes'], 'rss_bytes')} ({row['verdict']}, was "
            f"{row['usual_verdict']})"
        )


def told_lines(run: ShownRun) -> Iterable[str]:
    """What is said of a run beside its table of resources, on a page and in a notebook too."""
    if left := run.limit_text():
        yield left
    yield from run.notes()
    yield from given_back_lines(run)
    yield from kept_free_lines(run)


def as_sentence(note: str) -> str:
    """A note as a sentence of its own; the name of a resource stays as it is."""
    is_name = "_" in note.partition(" ")[0]
    return f"{note}." if is_name else f"{note[:1].upper()}{note[1:]}."


def type_text(name: str, paths: Sequence[Mapping[Any, Any]]) -> str:
    """Return what ``leaklab show --object TYPE`` prints."""
    lines = []
    for row in paths:
        lines.append(
            f"{objects_text(row)}, "
            f"{quantity(row['retained_bytes'], 'heap_bytes')} retained: {safe(row['path'])}"
        )
        if row["rate"] is not None:
            lines.append(
                f"   {quantity(row['growth_count'])} more since warm-up, "
                f"{quantity(row['rate'], 'heap_bytes')}/{row['unit']}"
            )
    return "\n".join(lines) or f"nothing is known of what keeps {safe(name)} alive"


def _grows(row: Mapping[Any, Any]) -> bool:
    return "bounded" not in (row["before_verdict"], row["after_verdict"])


def comparison_text(comparison: ShownComparison) -> str:
    """Return what ``leaklab compare`` prints: outcome, resources, sites that went and came."""
    lines = [str(comparison.outcome), f"  {safe(comparison.reason)}", f"  {safe(comparison.runs)}"]
    rows = [("resource", "outcome", "before", "after", "ratio", "because")]
    rows += [
        (
            safe(named(str(row["name"]), str(row["role"]))),
            safe(row["outcome"]),
            _side(row, "before"),
            _side(row, "after"),
            # Of what does not grow there is no rate to compare.
            quantity(row["ratio"]) if _grows(row) else "-",
            safe(row["reason"]),
        )
        for row in comparison.resources.to_dict("records")
    ]
    if len(rows) > 1:
        lines += ["", *table(rows)]
    lines += _changed_lines("sites", comparison.sites, place_text)
    lines += _changed_lines("holders", comparison.holders, holder_text)
    return "\n".join(lines)


def _changed_lines(
    title: str, compared: pd.DataFrame, text: Callable[[Mapping[Any, Any]], str]
) -> Iterator[str]:
    """Yield what went and came, each with its rates."""
    rows = [row for row in compared.to_dict("records") if row["outcome"] != "unchanged"]
    unit = common_unit(rows)
    if rows:
        yield ""
        yield f"  {title}, per {unit}" if unit else f"  {title}"
    for row in rows[:CHANGED_COUNT]:
        rates = (site_rate(row, which, unit is None) for which in ("before", "after"))
        yield f"  {safe(row['outcome'])}: {text(row)}  {' to '.join(rates)}"


def site_rate(row: Mapping[Any, Any], which: str, by_unit: bool) -> str:
    """Return the rate of a site in one of the two runs, ``by_unit`` with its unit."""
    most = row[f"{which}_most"]
    rate = quantity(most or row[f"{which}_rate"], "heap_bytes")
    return per(f"at most {rate}" if most else rate, row[f"{which}_unit"], by_unit)


def _side(row: Mapping[Any, Any], which: str) -> str:
    """Verdict and rate of one of the two runs; a verdict alone where there is no growth."""
    verdict, rate_ = safe(row[f"{which}_verdict"]), row[f"{which}_rate"]
    if verdict == "bounded" or math.isnan(rate_):
        return verdict
    size, word = compared_pace(row, which)
    return f"{verdict} {per(quantity(rate_ * size, str(row['name'])), word)}"
