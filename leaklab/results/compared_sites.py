"""Allocation sites of two runs side by side: what of it is known, and what is not."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import pandas as pd

from leaklab.analysis.series import HEAP
from leaklab.results.outcomes import (
    FIXED,
    IMPROVED,
    NOT_DECIDED,
    NOT_MEASURED,
    NOT_THERE,
    NOTABLE_RATIO,
    UNCHANGED,
    WORSE,
)
from leaklab.verdict.evidence import GROWS, UNDECIDED
from leaklab.verdict.resources import INCONCLUSIVE, LEAK

if TYPE_CHECKING:
    from leaklab.verdict.judge import Verdict

# What is said of a site or holder of both runs.
OF_BOTH = ("before_rate", "after_rate", "outcome", "role", "before_unit", "after_unit")
COLUMNS = ("fingerprint", "function", "file", "line", *OF_BOTH)
# A rate, or why there is none; and what it is counted by.
OfRun = tuple[float, str, str | None]


def compared_sites(
    before: Verdict, after: Verdict, roles: tuple[Collection[str], Collection[str]]
) -> pd.DataFrame:
    """Return the sites that leak in either run, by role and fingerprint: lines may have shifted.

    ``roles``: the processes that were there, of both runs.
    """
    places = pd.concat([before.suspects, after.suspects]).drop_duplicates(["role", "fingerprint"])
    places = places.astype({"line": "int64"})  # beside a run without suspects it became float
    rows = []
    for place in places.itertuples(index=False):
        site = str(place.role), str(place.fingerprint)
        old, new = (
            _side(verdict, there, *site)
            for verdict, there in zip((before, after), roles, strict=True)
        )
        if not (old[0] > 0 or new[0] > 0):
            continue
        rows.append(
            {
                "fingerprint": place.fingerprint,
                "function": place.function,
                "file": place.file,
                "line": place.line,
                **of_both(old, new, site[0]),
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _side(verdict: Verdict, there: Collection[str], role: str, fingerprint: str) -> OfRun:
    """What one run says of a site; several lines of one function are added up."""
    nothing = float("nan")
    heap = verdict.resource(HEAP, role)
    if heap is None:
        return nothing, NOT_MEASURED if role in there else NOT_THERE, None
    if heap.verdict == INCONCLUSIVE:
        return nothing, NOT_DECIDED, heap.unit
    found = verdict.suspects
    of_role = found[found["role"] == role]
    mine = of_role[of_role["fingerprint"] == fingerprint]
    leaking = mine[mine["evidence"] == GROWS]
    if len(leaking):
        return float(leaking["rate"].sum()), "", str(leaking["unit"].iloc[0])
    if heap.verdict == LEAK and (mine["evidence"] == UNDECIDED).any():
        return nothing, NOT_DECIDED, heap.unit
    if heap.verdict == LEAK and not len(of_role):
        # Sites are told of the role whose heap grows most: of this one they are not known.
        return nothing, NOT_MEASURED, heap.unit
    return 0.0, "", heap.unit


def of_both(old: OfRun, new: OfRun, role: str) -> dict[str, Any]:
    """Return the columns `OF_BOTH` of a site or holder of ``role``, from what each run says."""
    (before_rate, _, before_unit), (after_rate, _, after_unit) = old, new
    values = before_rate, after_rate, _outcome(old, new), role, before_unit, after_unit
    return dict(zip(OF_BOTH, values, strict=True))


def _outcome(old: OfRun, new: OfRun) -> str:
    before, why_not_before, before_unit = old
    after, why_not_after, after_unit = new
    if why_not_before == NOT_THERE:
        return WORSE
    if why_not_before or why_not_after:
        return why_not_after or why_not_before
    if before_unit != after_unit or math.isnan(before) or math.isnan(after):
        return INCONCLUSIVE
    if not after:
        return FIXED
    if not before or after > NOTABLE_RATIO * before:
        return WORSE
    return IMPROVED if before > NOTABLE_RATIO * after else UNCHANGED
