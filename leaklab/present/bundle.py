"""How results show themselves in a notebook: one sentence, then a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from leaklab.present.formatting import common_unit, compared_pace, line_text, named
from leaklab.present.resource_text import rate
from leaklab.present.shown_resources import shown_resources
from leaklab.present.site_text import holder_text
from leaklab.present.table import Table
from leaklab.present.terminal import quantity
from leaklab.present.text import as_sentence, site_rate, told_lines

if TYPE_CHECKING:
    import pandas as pd

    from leaklab.present.protocol import ShownComparison, ShownRun, ShownVerdict

SITE_COUNT = 8


def verdict_bundle(verdict: ShownVerdict, label: str | None = None) -> dict[str, Any]:
    """A verdict with its resources, by MIME type; `label` says what it is on."""
    shown, others = shown_resources(verdict.resources)
    rows = [
        (named(entry.name, entry.role), entry.verdict, rate(entry), entry.reason) for entry in shown
    ]
    if others:
        rows.append(("", "", "", others))
    resources = Table(["resource", "verdict", "rate", "because"], rows, numbers=["rate"])
    outcome = f"{label}: {verdict.verdict}" if label else verdict.verdict
    return _bundle(outcome, verdict.reason, resources)


def run_html(run: ShownRun) -> str:
    """A run as HTML: its verdict with the resources, and below what the terminal says beside them.

    Without it a heap stands beside a smaller resident set, and nothing tells why.
    """
    notes = "".join(f"<p>{escape(as_sentence(note))}</p>" for note in told_lines(run))
    return f"{verdict_bundle(run.verdict(), run.label)['text/html']}{notes}"


def comparison_bundle(comparison: ShownComparison) -> dict[str, Any]:
    """A comparison with its resources, and the sites that went or came, by MIME type."""
    compared = comparison.resources.to_dict("records")
    unit = common_unit(compared)
    rows = [
        (
            named(row["name"], row["role"]),
            _side(row, "before", unit is None),
            _side(row, "after", unit is None),
            row["outcome"],
            row["reason"],
        )
        for row in compared
    ]
    tables = [Table(["resource", *_headings(unit), "outcome", "because"], rows)]
    tables += _changed("allocated in", comparison.sites, site_text)
    tables += _changed("held by", comparison.holders, holder_text)
    return _bundle(comparison.outcome, f"{comparison.reason}. {comparison.runs}", *tables)


def _changed(
    heading: str, compared: pd.DataFrame, text: Callable[[Mapping[Any, Any]], str]
) -> Iterator[Table]:
    """Yield a table of what went and came, where anything did."""
    rows = compared[compared["outcome"] != "unchanged"].head(SITE_COUNT)
    if len(rows):
        changed = rows.to_dict("records")
        unit = common_unit(changed)
        told = [
            (
                text(row),
                site_rate(row, "before", unit is None),
                site_rate(row, "after", unit is None),
                row["outcome"],
            )
            for row in changed
        ]
        numbers = _headings(unit)
        yield Table([heading, *numbers, "outcome"], told, numbers=numbers)


def _headings(unit: str | None) -> list[str]:
    return [f"{which}, per {unit}" if unit else which for which in ("before", "after")]


def _side(row: Mapping[Any, Any], which: str, by_unit: bool) -> str:
    """Verdict and rate of one of the two runs, the verdict alone where there is no rate."""
    size, word = compared_pace(row, which)
    verdict, text = row[f"{which}_verdict"], quantity(row[f"{which}_rate"] * size, row["name"])
    if text == "-":
        return str(verdict)
    return f"{verdict}, {text}" + (f" per {word}" if by_unit else "")


def site_text(row: Mapping[Any, Any]) -> str:
    """Where something was allocated: ``build_page (cache.py:14)``."""
    place = f" ({line_text(row['file'], row['line'])})" if row["file"] else ""
    return f"{row['function']}{place}"


def _bundle(outcome: str, reason: str, *tables: Table) -> dict[str, Any]:
    return {
        "text/plain": "\n\n".join([f"{outcome}. {reason}", *map(str, tables)]),
        "text/html": f"<p><b>{escape(outcome)}</b>. {escape(reason)}</p>"
        + "".join(table.html() for table in tables),
    }
