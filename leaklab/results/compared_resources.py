"""Resources of two runs side by side, each in the processes of one role: all that either has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from leaklab import resources
from leaklab.analysis.series import HEAP, resource_series
from leaklab.results.outcomes import (
    FIXED,
    IMPROVED,
    NOT_MEASURED,
    NOT_THERE,
    NOTABLE_RATIO,
    UNCHANGED,
    WORSE,
)
from leaklab.results.replicas import replicas
from leaklab.verdict.growth import MINIMUM_SHARE
from leaklab.verdict.lives_told import HELPER_SECONDS, is_listed
from leaklab.verdict.resources import BOUNDED, INCONCLUSIVE, LEAK

if TYPE_CHECKING:
    from leaklab.store import RunData
    from leaklab.verdict.judge import ResourceVerdict, Verdict

COLUMNS = (
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
    "before_unit",
    "after_unit",
    "before_span",
    "after_span",
)
# A process that has told this tells of everything that an interpreter can tell.
TOLD_BY_INTERPRETER = "allocated_blocks_count"
SHOWN_ROLE_COUNT = 3


@dataclass(frozen=True)
class Side:
    """One of the two runs: which it is ("before" or "after"), its tables and its verdict."""

    label: str
    data: RunData
    verdict: Verdict

    @property
    def roles(self) -> set[str]:
        """Roles of the processes that were there, measured or not."""
        rows = self.data.meta.get("processes") or ()
        there = {str(entry.get("role") or "main") for entry in rows}
        return there | {str(entry.role) for entry in self.verdict.resources}

    @property
    def only_pod(self) -> str:
        """What an imported file calls its only process, whose role is main; "" for none."""
        return str((self.data.meta.get("import") or {}).get("only") or "")

    @property
    def passes(self) -> set[str]:
        """Names of the passes."""
        return {str(entry.get("pass")) for entry in self.data.meta.get("passes") or ()}


def compared_resources(before: Side, after: Side) -> pd.DataFrame:
    """Return a row for each resource of each role that decides in either run, and for gauges."""
    recorded = not any("import" in side.data.meta for side in (before, after))
    rows = [
        _row(new, *_outcome(old, new, recorded=recorded), before=old, after=new)
        for old in before.verdict.resources
        if (new := after.verdict.resource(old.name, old.role)) is not None
        and (_is_shown(old) or new.decides)
    ]
    paired = set()
    pods = replicas(
        before.verdict.resources, after.verdict.resources, (before.only_pod, after.only_pod)
    )
    for old_pods, new_pods in pods:
        old, new = old_pods.worst, new_pods.worst
        paired |= {(pod.name, pod.role) for pod in (*old_pods.all, *new_pods.all)}
        if _is_shown(old) or new.decides:
            outcome, reason = _outcome(old, new, recorded=recorded)
            worst = f"{reason} (the worst of {len(old_pods.all)} and of {len(new_pods.all)} pods)"
            rows.append(_row(new, outcome, worst, before=old, after=new))
    rows += _one_sided(before, after, paired)
    rows += _one_sided(after, before, paired)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _is_shown(entry: ResourceVerdict) -> bool:
    return entry.decides or entry.name.startswith("gauge:")


def _row(
    known: ResourceVerdict, outcome: str, reason: str, **sides: ResourceVerdict | str
) -> dict[str, Any]:
    """One row; ``before`` and ``after``: the verdict of each run, or why it has none."""
    row: dict[str, Any] = {"name": known.name, "role": known.role, "unit": known.unit}
    row |= {"outcome": outcome, "reason": reason, "ratio": float("nan")}
    for label, side in sides.items():
        if isinstance(side, str):
            verdict, rate, unit, span = side, float("nan"), None, float("nan")
        else:
            verdict, rate, unit, span = side.verdict, side.rate, side.unit, side.span
        row |= {f"{label}_verdict": verdict, f"{label}_rate": rate, f"{label}_unit": unit}
        row[f"{label}_span"] = span
    if row["before_unit"] == row["after_unit"] and row["before_rate"]:
        row["ratio"] = row["after_rate"] / row["before_rate"]
    return row


def _outcome(before: ResourceVerdict, after: ResourceVerdict, *, recorded: bool) -> tuple[str, str]:
    """Outcome and reason of what both have; ``recorded``: by leaklab, so that no interval has a
    course of the day in it which nobody has seen to its end."""
    for label, listed, judged in (("before", before, after), ("after", after, before)):
        if is_listed(listed) and judged.decides and judged.verdict == BOUNDED:
            return UNCHANGED, f"it does not leak where it is judged; {label}: {listed.reason}"
    if before.unit != after.unit:
        return INCONCLUSIVE, f"one run counts per {before.unit}, the other per {after.unit}"
    for label, entry in (("before", before), ("after", after)):
        if entry.verdict == INCONCLUSIVE:
            apart = _told_apart(before, after) if recorded else None
            return apart or (INCONCLUSIVE, f"{label}: {entry.reason}")
    if before.verdict == LEAK and after.verdict == BOUNDED:
        return FIXED, "it leaked and no longer does"
    if before.verdict == BOUNDED and after.verdict == LEAK:
        return WORSE, "it did not leak and now does"
    if before.verdict == BOUNDED:
        return UNCHANGED, "it leaks in neither run"
    if _clearly_less(after, before):
        return IMPROVED, f"it still leaks, at {100 * after.rate / before.rate:.0f} % of the rate"
    if _clearly_less(before, after):
        return WORSE, f"it leaks at {after.rate / before.rate:.3g} times the rate"
    return UNCHANGED, "it leaks at the same rate"


def _told_apart(before: ResourceVerdict, after: ResourceVerdict) -> tuple[str, str] | None:
    """Outcome and reason where one run leaks, the other is undecided, and their rates are far
    apart; None where they are not, or the undecided rate may be that of other work."""
    undecided, leaking = (before, after) if after.verdict == LEAK else (after, before)
    if leaking.verdict != LEAK or not has_rate(undecided, leaking):
        return None
    if _clearly_less(after, before) and leaking is before:
        less = 100 * (1 - max(after.rate_high, 0.0) / before.rate_low)
        return IMPROVED, (
            f"it grows more slowly, by {less:.0f} % at least; whether the rest keeps growing is "
            f"not decided: it {after.reason}"
        )
    if _clearly_less(before, after):
        which = "it leaked before" if leaking is after else "that goes on"
        return WORSE, f"it grows faster; whether {which} is not decided: it {undecided.reason}"
    return None


def has_rate(undecided: ResourceVerdict, leaking: ResourceVerdict) -> bool:
    """Whether an undecided resource has a rate to hold against one that leaks in the other run.

    What is not to be decided by more of the same, a load that failed say, has none.
    """
    least = HELPER_SECONDS if undecided.unit == "second" else 0.0
    seen = undecided.span >= max(least, MINIMUM_SHARE * leaking.span)
    return (
        seen and undecided.unit == leaking.unit and undecided.more_x > 0 and undecided.advice != ""
    )


def _clearly_less(less: ResourceVerdict, more: ResourceVerdict) -> bool:
    """Whether one rate is below another beyond both intervals, and by as much as is told."""
    apart = less.rate_high < more.rate_low and more.rate_low > 0
    return apart and more.rate > NOTABLE_RATIO * less.rate


def _one_sided(side: Side, other: Side, paired: set[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """Yield the rows of what only one of the runs has, without ``paired`` resources of roles."""
    same_passes = side.passes == other.passes
    for entry in side.verdict.resources:
        if (entry.name, entry.role) in paired:
            continue
        if not _is_shown(entry) or other.verdict.resource(entry.name, entry.role) is not None:
            continue
        if entry.role in other.roles and (entry.name == HEAP or not same_passes):
            # The process was there: only a pass, or the tracer, can have missed what it held.
            outcome, missing = INCONCLUSIVE, NOT_MEASURED
            why = f"not measured in {other.label}; record both with the same passes, to their end"
        else:
            (outcome, why), missing = _outcome_of_one(entry, side, other), NOT_THERE
        sides: dict[str, Any] = {side.label: entry, other.label: missing}
        yield _row(entry, outcome, why, **sides)


def _outcome_of_one(entry: ResourceVerdict, side: Side, other: Side) -> tuple[str, str]:
    """Outcome and reason of what the other run has nothing of.

    A leak that is gone with its process is no fix: nothing tells a process that was taken away
    from one that goes by another name. Processes are not paired by guess, they are named; what
    Kubernetes names by rule is paired before (`replicas`).
    """
    only = f"only in {side.label}"
    if entry.verdict == INCONCLUSIVE:
        return INCONCLUSIVE, f"{only}: {entry.reason}"
    if entry.verdict == BOUNDED:
        return UNCHANGED, f"{only}, where it does not leak"
    if entry.role in other.roles:
        absent = f"{other.label} has none"
        if side.label == "before" and _was_asked(entry, other.data):
            return FIXED, f"it leaked, and {absent}"
    else:
        absent = f"{other.label} has no process {entry.role}{_perhaps(side, other)}"
    if side.label == "after":
        return WORSE, f"{only}, where it leaks: {absent}"
    if entry.role in other.roles:
        return INCONCLUSIVE, f"{only}, where it leaks: {absent}, or has not measured it"
    return INCONCLUSIVE, f"{only}, where it leaks: {absent}: it is gone, or has another name"


def _was_asked(entry: ResourceVerdict, data: RunData) -> bool:
    """Whether the processes of the role would have told of it: none is then none at all."""
    row = resources.find(entry.name)
    told = row is not None and row.source == "interpreter"
    return told and len(resource_series(data, TOLD_BY_INTERPRETER, role=entry.role)) > 0


def _perhaps(side: Side, other: Side) -> str:
    """Which processes only the other run has, in parentheses: one of them may be the same."""
    own = side.roles
    entries = other.verdict.resources
    found = list(dict.fromkeys(e.role for e in entries if e.decides and e.role not in own))
    more = len(found) - SHOWN_ROLE_COUNT
    names = ", ".join(found[:SHOWN_ROLE_COUNT]) + (f" and {more} more" if more > 0 else "")
    return f" (but {names})" if found else ""
