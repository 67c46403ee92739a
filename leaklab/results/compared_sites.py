"""Allocation sites of two runs side by side: what of it is known, and what is not."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from leaklab.analysis.series import HEAP
from leaklab.results.compared_resources import has_rate
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
from leaklab.verdict.evidence import GROWS, STOPPED, UNDECIDED
from leaklab.verdict.heap_study import EXCLUDED_SHARE
from leaklab.verdict.resources import INCONCLUSIVE, LEAK

if TYPE_CHECKING:
    from leaklab.verdict.judge import ResourceVerdict, Verdict

# What is said of a site or holder of both runs.
OF_BOTH = (
    "before_rate", "after_rate", "outcome", "role", "before_unit", "after_unit", "before_most",
    "after_most",
)  # fmt: skip
COLUMNS = ("fingerprint", "function", "file", "line", *OF_BOTH)


class OfRun(NamedTuple):
    """What one run says of a site or holder: its rate, or why there is none; what that is counted
    by; and the most that it may be where none was seen and the run does not decide on the rest."""

    rate: float
    why: str = ""
    unit: str | None = None
    most: float = 0.0


def compared_sites(
    before: Verdict, after: Verdict, roles: tuple[Collection[str], Collection[str]]
) -> pd.DataFrame:
    """Return the sites that leak in either run, by role and fingerprint: lines may have shifted.

    ``roles``: the processes that were there, of both runs.
    """
    # Where one leaks is told of the run in which it does, first of before.
    leaked = before.suspects[before.suspects["evidence"] == GROWS]
    places = pd.concat([leaked, after.suspects]).drop_duplicates(["role", "fingerprint"])
    places = places.astype({"line": "int64"})  # beside a run without suspects it became float
    rows = []
    for place in places.itertuples(index=False):
        site = str(place.role), str(place.fingerprint)
        old, new = (
            _side(verdict, there, *site)
            for verdict, there in zip((before, after), roles, strict=True)
        )
        if not (old.rate > 0 or new.rate > 0):
            continue
        old, new = (
            _unless_excluded(mine, verdict, site, other.rate, leaking)
            for mine, verdict, other, leaking in (
                (old, before, new, after.resource(HEAP, site[0])),
                (new, after, old, before.resource(HEAP, site[0])),
            )
        )
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
        return OfRun(nothing, NOT_MEASURED if role in there else NOT_THERE)
    if heap.verdict == INCONCLUSIVE:
        return OfRun(nothing, NOT_DECIDED, heap.unit)
    found = verdict.suspects
    of_role = found[found["role"] == role]
    mine = of_role[of_role["fingerprint"] == fingerprint]
    leaking = mine[mine["evidence"] == GROWS]
    if len(leaking):
        return OfRun(float(leaking["rate"].sum()), "", str(leaking["unit"].iloc[0]))
    if heap.verdict == LEAK and (mine["evidence"] == UNDECIDED).any():
        return OfRun(nothing, NOT_DECIDED, heap.unit)
    if heap.verdict == LEAK and not len(of_role):
        # Sites are told of the role whose heap grows most: of this one they are not known.
        return OfRun(nothing, NOT_MEASURED, heap.unit)
    return OfRun(0.0, "", heap.unit)


def _unless_excluded(
    mine: OfRun,
    verdict: Verdict,
    site: tuple[str, str],
    rate: float,
    leaking: ResourceVerdict | None,
) -> OfRun:
    """What a run says of a site that grows by ``rate`` in the other one, whose heap is ``leaking``:
    none of it where it is no suspect of the run, and its heap, which is not decided, cannot grow by
    as much."""
    role, fingerprint = site
    heap, found = verdict.resource(HEAP, role), verdict.suspects
    if mine.why != NOT_DECIDED or heap is None or leaking is None:
        return mine
    if not (has_rate(heap, leaking) and heap.excluded < EXCLUDED_SHARE * rate):
        return mine
    of_site = found[(found["role"] == role) & (found["fingerprint"] == fingerprint)]
    if (of_site["evidence"] != STOPPED).any():
        return mine
    return OfRun(0.0, "", heap.unit, heap.excluded)


def of_both(old: OfRun, new: OfRun, role: str) -> dict[str, Any]:
    """Return the columns `OF_BOTH` of a site or holder of ``role``, from what each run says."""
    told = (old.rate, new.rate, _outcome(old, new), role, old.unit, new.unit, old.most, new.most)
    return dict(zip(OF_BOTH, told, strict=True))


def _outcome(old: OfRun, new: OfRun) -> str:
    before, why_not_before, before_unit, _ = old
    after, why_not_after, after_unit, _ = new
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
