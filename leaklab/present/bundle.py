"""How results show themselves in a notebook: one sentence, then a table."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from leaklab.present.formatting import line_text
from leaklab.present.table import Table
from leaklab.present.terminal import quantity
from leaklab.present.text import rate

if TYPE_CHECKING:
    from leaklab.present.protocol import ShownComparison, ShownVerdict

SITE_COUNT = 8


def verdict_bundle(verdict: ShownVerdict, label: str | None = None) -> dict[str, Any]:
    """A verdict with its resources, by MIME type; `label` says what it is on."""
    rows = [
        (
            entry.name if entry.role == "main" else f"{entry.name} ({entry.role})",
            entry.verdict,
            rate(entry),
            entry.reason,
        )
        for entry in verdict.resources
    ]
    resources = Table(["resource", "verdict", "rate", "because"], rows, numbers=["rate"])
    outcome = f"{label}: {verdict.verdict}" if label else verdict.verdict
    return _bundle(outcome, verdict.reason, resources)


def comparison_bundle(comparison: ShownComparison) -> dict[str, Any]:
    """A comparison with its resources, and the sites that went or came, by MIME type."""
    rows = [
        (
            row["name"] if row["role"] == "main" else f"{row['name']} ({row['role']})",
            f"{row['before_verdict']}, {quantity(row['before_rate'], row['name'])}",
            f"{row['after_verdict']}, {quantity(row['after_rate'], row['name'])}",
            row["outcome"],
            row["reason"],
        )
        for row in comparison.resources.to_dict("records")
    ]
    unit = next(iter(comparison.resources["unit"]), "iteration")
    columns = ["resource", f"before, per {unit}", f"after, per {unit}", "outcome", "because"]
    tables = [Table(columns, rows)]
    sites = comparison.sites[comparison.sites["outcome"] != "unchanged"].head(SITE_COUNT)
    if len(sites):
        changed = [
            (
                site_text(row),
                quantity(row["before_rate"], "heap_bytes"),
                quantity(row["after_rate"], "heap_bytes"),
                row["outcome"],
            )
            for row in sites.to_dict("records")
        ]
        numbers = columns[1:3]
        tables.append(Table(["allocated in", *numbers, "outcome"], changed, numbers=numbers))
    return _bundle(comparison.outcome, f"{comparison.reason}. {comparison.runs}", *tables)


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
