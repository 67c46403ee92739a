"""How often each rule is right, as `benchmarks/audit_rates.py` measured it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

FILE = Path(__file__).with_name("rates.json")
COLUMNS = ("rule", "title", "programs", "source", "spoke_up", "leaking", "precision", "recall")


@cache
def measured() -> dict[str, Any]:
    """The figures as they are stored: per source and rule, and per case and variant."""
    values: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return values


def audit_rates() -> pd.DataFrame:
    """Return how often each rule is right: from the source alone, and confirmed by a run.

    Columns: rule, title; source ("catalogue", "corpus", or "corpus, confirmed by a run"), programs
    (how many there are in it), spoke_up (in how many of them the rule raised, or a run confirmed,
    something), leaking (how many of those leak), precision (leaking by spoke_up) and recall
    (leaking by all programs that leak).

    >>> ll.audit_rates().query("rule == 'LL001'")
    """
    import pandas as pd

    from leaklab.code_audit.ruff import PUBLIC
    from leaklab.code_audit.rules import all_rules

    titles = {rule.id: rule.title for rule in all_rules()}
    titles |= {code: title for code, (title, _) in PUBLIC.items()}
    rows = [
        {
            "rule": row["rule"],
            "title": titles.get(row["rule"], ""),
            "programs": found["programs"],
            "source": source,
            "spoke_up": row["programs"],
            "leaking": row["leaking"],
            "precision": row["precision"],
            "recall": row["recall"],
        }
        for source, found in measured()["rates"].items()
        for row in found["rules"]
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def raised(case_id: str) -> str | None:
    """Whether the audit raises a case's leak, with the rules and the state that a run gave.

    "LL001 confirmed", "LL001, LL016 raised" where no run was joined, "not raised: why", and None
    for a case without a leak in code.
    """
    values = measured()
    variants = values["cases"].get(case_id)
    if variants is None:
        return None
    leaks = [each for each in variants.values() if each["leaks"]]
    if not leaks:
        return "nothing to raise"
    rules = sorted({rule for each in leaks for rule in each["about"]})
    if not rules:
        return f"not raised: {values['not_raised'].get(case_id, 'no rule sees it')}"
    states = {state for each in leaks for state in each.get("confirmed", ())}
    confirmed = [rule for rule in rules if rule in states]
    return f"{', '.join(confirmed)} confirmed" if confirmed else f"{', '.join(rules)} raised"
