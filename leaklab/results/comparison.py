"""Does the fix work? Two runs, resource by resource and site by site."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from leaklab.analysis.series import HEAP
from leaklab.errors import LeaklabError
from leaklab.verdict.evidence import GROWS
from leaklab.verdict.judge import BOUNDED, INCONCLUSIVE, LEAK, ResourceVerdict, Verdict, judge

if TYPE_CHECKING:
    from leaklab.store import RunData

FIXED, IMPROVED, UNCHANGED, WORSE = "fixed", "improved", "unchanged", "worse"
NOT_MEASURED = "not measured"

# A leak that is left is called better or worse only beyond this ratio and outside both intervals.
NOTABLE_RATIO = 1.25


# What a file of another tool does not say cannot be held against it.
_PERHAPS_UNKNOWN = ("interpreter", "platform")

SITE_COLUMNS = (
    "fingerprint",
    "function",
    "file",
    "line",
    "before_rate",
    "after_rate",
    "outcome",
)


@dataclass(frozen=True, repr=False)
class Comparison:
    """What changed between two runs of one workload.

    resources: name, role, before_verdict, after_verdict, before_rate, after_rate, ratio (after by
    before), unit, outcome, reason; what one run has not measured has the verdict "not measured"
    there, no rate, and decides nothing. sites: fingerprint, function, file, line, before_rate,
    after_rate, outcome (rates in bytes per unit; 0 where the site does not keep growing, NaN where
    the heap was not measured). runs: name, state and passes of both, in one line.
    """

    outcome: str
    reason: str
    resources: pd.DataFrame = field(compare=False)
    sites: pd.DataFrame = field(compare=False)
    runs: str = field(default="", compare=False)

    def __repr__(self) -> str:
        return f"<Comparison: {self.outcome}: {self.reason}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from leaklab.present.bundle import comparison_bundle

        return comparison_bundle(self)


def compare(
    before: RunData, after: RunData, verdicts: tuple[Verdict, Verdict] | None = None
) -> Comparison:
    """Compare two runs; LeaklabError where their difference would not come from the code.

    ``verdicts``: theirs, where they are known already.
    """
    refuse_incomparable(before.meta, after.meta)
    first, second = verdicts or (judge(before), judge(after))
    rows = [
        _resource_row(old, new)
        for old in first.resources
        if (new := second.resource(old.name, old.role)) is not None
        and (old.decides or new.decides or old.name.startswith("gauge:"))
    ]
    same = _passes(before.meta) == _passes(after.meta)
    rows += [_unmeasured_row(one, "after") for one in _lacking(first, second, same)]
    rows += [_unmeasured_row(one, "before") for one in _lacking(second, first, same)]
    resources = pd.DataFrame(
        rows,
        columns=[
            "name",
            "role",
            "before_verdict",
            "after_verdict",
            "before_rate",
            "after_rate",
            "ratio",
            "unit",
            "outcome",
            "reason",
        ],
    )
    outcome, reason = _of_runs(resources)
    runs = f"before: {_circumstances(before.meta)}; after: {_circumstances(after.meta)}"
    return Comparison(outcome, reason, resources, _sites(first, second), runs)


def _passes(meta: dict[str, Any]) -> set[str]:
    return {str(entry.get("pass")) for entry in meta.get("passes") or ()}


def _circumstances(meta: dict[str, Any]) -> str:
    passes = ", ".join(str(entry.get("pass")) for entry in meta.get("passes") or ())
    variant = meta.get("variant")
    name = f"{meta.get('name')}/{variant}" if variant else str(meta.get("name"))
    return f"{name}, {meta.get('state')} ({passes or 'no passes'})"


def _lacking(one: Verdict, other: Verdict, same_passes: bool) -> list[ResourceVerdict]:
    """Return what one run has measured and the other has not: a heap, or what a pass measures.

    Where both had the same passes, a resource that one lacks did not exist there, a heap aside.
    """
    roles = {entry.role for entry in other.resources}
    return [
        entry
        for entry in one.resources
        if entry.decides
        and entry.role in roles
        and other.resource(entry.name, entry.role) is None
        and (entry.name == HEAP or not same_passes)
    ]


def _unmeasured_row(known: ResourceVerdict, missing: str) -> dict[str, Any]:
    nothing = float("nan")
    verdicts = {"before": known.verdict, "after": known.verdict, missing: NOT_MEASURED}
    rates = {"before": known.rate, "after": known.rate, missing: nothing}
    return {
        "name": known.name,
        "role": known.role,
        "before_verdict": verdicts["before"],
        "after_verdict": verdicts["after"],
        "before_rate": rates["before"],
        "after_rate": rates["after"],
        "ratio": nothing,
        "unit": known.unit,
        "outcome": INCONCLUSIVE,
        "reason": f"not measured in {missing}; record both with the same passes, to their end",
    }


def refuse_incomparable(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Raise LeaklabError naming the first thing that must agree between two runs and does not."""
    for key, found in (
        ("name", lambda meta: meta.get("name")),
        ("parameters", lambda meta: meta.get("parameters") or {}),
        ("interpreter", lambda meta: _minor(meta)),
        ("platform", lambda meta: (meta.get("platform") or {}).get("system")),
    ):
        one, other = found(before), found(after)
        if key in _PERHAPS_UNKNOWN and None in (one, other):
            continue
        if one != other:
            raise LeaklabError(
                f"the runs may not be compared: {key} differs: {one} and {other}; "
                "record both with the same workload, parameters and interpreter"
            )


def _minor(meta: dict[str, Any]) -> str | None:
    version = (meta.get("versions") or {}).get("python")
    return ".".join(str(version).split(".")[:2]) if version else None


def _resource_row(before: ResourceVerdict, after: ResourceVerdict) -> dict[str, Any]:
    outcome, reason = _outcome(before, after)
    return {
        "name": before.name,
        "role": before.role,
        "before_verdict": before.verdict,
        "after_verdict": after.verdict,
        "before_rate": before.rate,
        "after_rate": after.rate,
        "ratio": after.rate / before.rate if before.rate else float("nan"),
        "unit": after.unit,
        "outcome": outcome,
        "reason": reason,
    }


def _outcome(before: ResourceVerdict, after: ResourceVerdict) -> tuple[str, str]:
    if before.unit != after.unit:
        return INCONCLUSIVE, f"one run counts per {before.unit}, the other per {after.unit}"
    for label, entry in (("before", before), ("after", after)):
        if entry.verdict == INCONCLUSIVE:
            return INCONCLUSIVE, f"{label}: {entry.reason}"
    if before.verdict == LEAK and after.verdict == BOUNDED:
        return FIXED, "it leaked and no longer does"
    if before.verdict == BOUNDED and after.verdict == LEAK:
        return WORSE, "it did not leak and now does"
    if before.verdict == BOUNDED:
        return UNCHANGED, "it leaks in neither run"
    if after.rate_high < before.rate_low and before.rate > NOTABLE_RATIO * after.rate:
        return IMPROVED, f"it still leaks, at {100 * after.rate / before.rate:.0f} % of the rate"
    if after.rate_low > before.rate_high and after.rate > NOTABLE_RATIO * before.rate:
        return WORSE, f"it leaks at {after.rate / before.rate:.3g} times the rate"
    return UNCHANGED, "it leaks at the same rate"


def _of_runs(resources: pd.DataFrame) -> tuple[str, str]:
    """The whole outcome: a leak that got worse counts before one that was fixed."""
    deciding = resources[~resources["name"].astype(str).str.startswith("gauge:")]
    for outcome in (WORSE, INCONCLUSIVE):
        rows = deciding[deciding["outcome"] == outcome]
        if len(rows):
            return outcome, f"{rows.iloc[0]['name']}: {rows.iloc[0]['reason']}"
    still = deciding[deciding["after_verdict"] == LEAK]
    gone = deciding[deciding["outcome"] == FIXED]
    better = deciding[deciding["outcome"] == IMPROVED]
    if len(gone) and not len(still):
        return FIXED, f"{', '.join(gone['name'])}: leaked before, bounded after"
    if len(gone) or len(better):
        rest = f"; {', '.join(still['name'])} still grows" if len(still) else ""
        return IMPROVED, f"{', '.join([*gone['name'], *better['name']])}: better{rest}"
    return UNCHANGED, "no resource changed its verdict or its rate"


def _sites(before: Verdict, after: Verdict) -> pd.DataFrame:
    """Sites that leak in either run, by fingerprint: lines may have shifted between them."""
    rates = [_leaking_rates(verdict.suspects) for verdict in (before, after)]
    measured = [
        {entry.role for entry in verdict.resources if entry.name == HEAP}
        for verdict in (before, after)
    ]
    places = pd.concat([before.suspects, after.suspects]).drop_duplicates("fingerprint")
    places = places.astype({"line": "int64"})  # beside a run without suspects it became float
    rows = []
    for place in places.itertuples(index=False):
        old, new = (
            found.get(str(place.fingerprint), 0.0) if place.role in roles else float("nan")
            for found, roles in zip(rates, measured, strict=True)
        )
        if not (old > 0 or new > 0):
            continue
        rows.append(
            {
                "fingerprint": place.fingerprint,
                "function": place.function,
                "file": place.file,
                "line": place.line,
                "before_rate": old,
                "after_rate": new,
                "outcome": _site_outcome(old, new),
            }
        )
    return pd.DataFrame(rows, columns=list(SITE_COLUMNS))


def _leaking_rates(found: pd.DataFrame) -> dict[str, float]:
    """Rate of the leaking sites by fingerprint; several lines of one function are added up."""
    leaking = found[found["evidence"] == GROWS] if len(found) else found
    rates = leaking.groupby("fingerprint")["rate"].sum()
    return {str(name): float(rate) for name, rate in rates.items()}


def _site_outcome(before: float, after: float) -> str:
    if math.isnan(before) or math.isnan(after):
        return NOT_MEASURED
    if not after:
        return FIXED
    if not before or after > NOTABLE_RATIO * before:
        return WORSE
    return IMPROVED if before > NOTABLE_RATIO * after else UNCHANGED
