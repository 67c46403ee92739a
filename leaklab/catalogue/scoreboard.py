"""Every documented claim beside what was measured last: the table of all items."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from leaklab.catalogue.model import Case, catalogue
from leaklab.code_audit.rates import raised
from leaklab.present.choices import ROLES

if TYPE_CHECKING:
    import pandas as pd

SYSTEMS = {
    "000": "automation app",
    "001": "ministry finder",
    "002": "AI automation service",
    "003": "TheoEngine",
    "004": "track service (Go)",
}
# The parts of each document in the order of reading; "#" stands for its numbered items.
PARTS = {
    "000": ("Fixed", "Checked", "Recommendations"),
    "001": (
        "Overview",
        "Root causes",
        "Fixes",
        "Expected",
        "Monitoring",
        "Verification",
        "Future",
        "Notes",
    ),
    "002": (
        "Summary",
        "Task",
        "Implementation",
        "Configuration",
        "Verification",
        "Minor",
        "Conclusion",
        "Next",
    ),
    "003": (
        "Summary",
        "#",
        "Recommendations",
        "Monitoring",
        "Testing",
        "Code quality",
        "Conclusion",
        "Next",
    ),
    "004": ("Issue", "#", "Expected", "Monitoring", "Testing", "Additional"),
}
COLUMNS = [
    "document", "system", "section", "claim", "verdict", "why", "case", "title", "mechanism",
    "runnable", *ROLES, "as_expected", "recorded", "audit",
]  # fmt: skip


def scoreboard(store: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """One row per claim, in order of document and section, with the newest runs of its case.

    Columns: document, system, section, claim, verdict (on the claim: right, wrong, incomplete,
    untestable), why; case, title, mechanism, runnable; one column for each role of a variant
    (before, documented_fix, better_fix, control, condition) with the measured verdicts, "name
    verdict" where a role has several variants; as_expected: whether all recorded variants got the
    verdict their case declares; recorded: how many of its variants have a run; audit: whether
    `leaklab audit` raises the case's leak, by which rules, and what a run said of it ("LL001
    confirmed"). Null where nothing was recorded.
    """
    import pandas as pd

    measured = _newest_verdicts(store)
    rows = [
        _row(case, claim, measured.get(case.id, {}))
        for case in catalogue().values()
        for claim in case.claims
    ]
    rows.sort(key=lambda row: _reading_order(row["document"], row["section"]))
    rows.sort(key=lambda row: row["document"])
    return pd.DataFrame(rows, columns=COLUMNS).astype({"as_expected": "boolean"})


def _row(case: Case, claim: Any, measured: dict[str, str]) -> dict[str, Any]:
    by_role: dict[str, list[str]] = {}
    agreed = []
    for name, variant in case.variants.items():
        if name not in measured:
            continue
        by_role.setdefault(variant.role, []).append(f"{name} {measured[name]}")
        if variant.expectation.verdict is not None:
            agreed.append(measured[name] == variant.expectation.verdict)
    return {
        "document": claim.document,
        "system": SYSTEMS[claim.document],
        "section": claim.section,
        "claim": claim.text,
        "verdict": claim.verdict,
        "why": claim.why,
        "case": case.id,
        "title": case.title,
        "mechanism": case.mechanism,
        "runnable": case.runnable,
        **{role: _verdicts(by_role.get(role, [])) for role in ROLES},
        "as_expected": all(agreed) if agreed else None,
        "recorded": f"{sum(map(len, by_role.values()))} of {len(case.variants)}"
        if case.runnable
        else None,
        "audit": raised(case.id),
    }


def _verdicts(named: list[str]) -> str | None:
    """The one verdict, or each with its variant's name where there are several variants."""
    if not named:
        return None
    return named[0].split()[1] if len(named) == 1 else ", ".join(named)


def _newest_verdicts(store: str | os.PathLike[str] | None) -> dict[str, dict[str, str]]:
    """Verdict by case and variant, of the newest complete run of each."""
    from leaklab import recordings

    table = recordings.runs(store)
    newest: dict[str, dict[str, str]] = {}
    complete = table[table["state"] == "complete"].sort_values("created")
    for name, variant, verdict in complete[["name", "variant", "run_verdict"]].itertuples(
        index=False
    ):
        if isinstance(verdict, str):
            newest.setdefault(name, {})[variant] = verdict
    return newest


def _reading_order(document: str, section: str) -> tuple[int, int, str]:
    """The place of a section in its document: its part, then its number."""
    parts = PARTS[document]
    part = "#" if section[:1].isdigit() else next(filter(section.startswith, parts), None)
    number = re.search(r"\d+", section)
    return (
        parts.index(part) if part in parts else len(parts),
        int(number[0]) if number else 0,
        section,
    )
