"""How a case's runs are told: the pair that shows it, each run's verdict, each claim's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from leaklab.present.choices import ROLES
from leaklab.present.table import Table

if TYPE_CHECKING:
    import pandas as pd

    from leaklab.results.run import Run
# Cases are `leaklab.catalogue.model.Case`, which calls what is here.

# Which variant shows what a case is like without its leak, the most telling first.
_CURES = ("better_fix", "documented_fix", "control", "condition", "before")


def in_order(case: Any, runs: Mapping[str, Run]) -> dict[str, Run]:
    """The runs in the order of the story: before, the fixes, controls and other conditions."""
    names = list(case.variants)

    def place(variant: str) -> tuple[int, int]:
        return ROLES.index(case.variants[variant].role), names.index(variant)

    return {name: runs[name] for name in sorted(runs, key=place)}


def pair(case: Any, runs: Mapping[str, Run]) -> tuple[Run, Run | None]:
    """See `Case.pair`."""
    told = in_order(case, runs)
    first = next((v for v in told if told[v].verdict().verdict == "leak"), next(iter(told)))
    others = sorted(
        (v for v in told if v != first), key=lambda v: _CURES.index(case.variants[v].role)
    )
    return told[first], told[others[0]] if others else None


def claims_table(cases: Iterable[Any], *, judged: bool) -> Table:
    """A row a claim: the case, where it stands, what it says; judged: what the figures say of it.

    Without the column of the case where there is one only.
    """
    told = list(cases)
    rows = [
        (case.title, f"{claim.document}, {claim.section}", claim.text, claim.verdict, claim.why)
        for case in told
        for claim in case.claims
    ]
    columns = ("case", "document", "what it says", "the claim is", "because")
    shown = slice(int(len(told) == 1), None if judged else 3)
    return Table(columns[shown], [row[shown] for row in rows])


def verdicts_table(case: Any, runs: Mapping[str, Run]) -> Table:
    """See `Case.verdicts`."""
    from leaklab.results.run import VERDICT_MIME

    rows, data = [], []
    for variant, run in in_order(case, runs).items():
        checked = case.check({variant: run})
        failed = checked[checked["ok"] == False]  # noqa: E712 - null is no failure
        verdict = run.verdict()
        what = f"{variant}: {case.variants[variant].summary}"
        rows.append((what, verdict.verdict, verdict.reason, _unmet(failed)))
        data.append({**run.verdict_json(), "as_expected": not len(failed)})
    return Table(["variant", "verdict", "because", "expected"], rows, data={VERDICT_MIME: data})


def _unmet(failed: pd.DataFrame) -> str:
    said = "; ".join(
        f"{row['resource']}: expected {row['expected']}, measured {row['measured']}"
        for row in failed.to_dict("records")
    )
    return said or "as expected"


def difference_text(case: Any, before: Any, after: Any) -> str:
    """See `Case.difference`."""
    from leaklab.catalogue.variant_source import code_difference

    names = [one if isinstance(one, str) else str(one.meta["variant"]) for one in (before, after)]
    for name in names:
        case.variant(name)
    return code_difference(case.target.read_text(encoding="utf-8"), names[0], names[1])
