"""Record until the verdict is decided: when to look, and whether to stop.

Looking after every mark and stopping at the first "leak" finds a leak in everything sooner or
later. So the looks are few and fixed in advance (each when the run has grown by half), and a
verdict counts only where it holds at several looks in a row: a leak that noise pretends at one
look does not persist when half as much data again arrives. The strictness follows the
alpha-spending idea of Lan and DeMets (1983): early looks, which have little data, must pass the
test at a higher statistic than later ones (O'Brien and Fleming's shape), so that all looks
together raise as few false alarms as one look at the end: tests hold that rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from leaklab.present.formatting import span_text
from leaklab.verdict.resources import BOUNDED, FOLLOW, INCONCLUSIVE, LEAK, ResourceVerdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from leaklab.store import RunData

FIRST_MARKS = 40
FIRST_SECONDS = 10.0
LOOK_RATIO = 1.5
# A verdict must hold at so many looks in a row: what levels off looks straight at first. "Bounded"
# needs more looks before it than "leak": a leak that begins late has to have a chance.
LEAK_LOOKS = 3
BOUNDED_LOOKS = 4
# At look k of many the rate must exceed FINAL * sqrt(1 / share) standard errors, at most CAP.
FINAL_STATISTIC = 3.0
CAP_STATISTIC = 8.0
INTERVAL_ERRORS = 2.306


@dataclass(frozen=True)
class Look:
    """One look at a run in progress: how far it had come, and what was said."""

    x: float
    verdict: str


@dataclass(frozen=True)
class Decision:
    """Whether to stop recording, why, and when to look again (marks or seconds; NaN if never)."""

    stop: bool
    verdict: str
    reason: str
    next_look: float
    look: Look


def first_look(unit: str) -> float:
    """When to look first: marks for "iteration", else seconds."""
    return float(FIRST_MARKS) if unit == "iteration" else FIRST_SECONDS


def looks(unit: str, budget: float) -> list[float]:
    """The fixed schedule of looks up to a budget of marks or seconds, the budget included."""
    schedule = []
    at = first_look(unit)
    while at < budget:
        schedule.append(at)
        at *= LOOK_RATIO
    return [*schedule, float(budget)]


def decide(
    data: RunData,
    looks_so_far: Sequence[Look] = (),
    *,
    budget: float,
    unit: str = "iteration",
    x: float,
) -> Decision:
    """Look at the run as it stands at ``x`` (marks or seconds) and decide whether to go on.

    Pure: pass the returned ``look`` back among ``looks_so_far`` at the next look.
    """
    from leaklab.verdict.judge import judge  # verdict imports this package

    verdict = judge(data)
    said = verdict.verdict
    if said == LEAK and not _strict(verdict.resources, x / budget):
        said = INCONCLUSIVE
    look = Look(x, said)
    history = [*looks_so_far, look]
    if x >= budget:
        why = f"the budget of {span_text(budget, unit)} is used up: {verdict.reason}"
        return Decision(True, said, why, float("nan"), look)
    needed = BOUNDED_LOOKS if said == BOUNDED else LEAK_LOOKS
    held = [entry.verdict for entry in history[-needed:]] == [said] * needed
    if said != INCONCLUSIVE and held:
        why = f"the same at {needed} looks, after {span_text(x, unit)}: {verdict.reason}"
        return Decision(True, said, why, float("nan"), look)
    later = min(x * LOOK_RATIO, budget)
    return Decision(False, said, f"not decided yet: {verdict.reason}", later, look)


def _strict(resources: Sequence[ResourceVerdict], share: float) -> bool:
    """Whether a leaking resource passes the boundary for this share of the budget."""
    boundary = min(FINAL_STATISTIC / math.sqrt(share), CAP_STATISTIC) if share > 0 else math.inf
    for entry in resources:
        if entry.verdict != LEAK:
            continue
        margin = (entry.rate_high - entry.rate_low) / 2
        # The interval is about 2.3 standard errors to each side.
        if margin == 0 or entry.rate / margin * INTERVAL_ERRORS >= boundary:
            return True
    return False


def judge_followed(
    x: ArrayLike, y: ArrayLike, *, resource: str = "rss_bytes", unit: str = "second"
) -> ResourceVerdict:
    """Judge a series that is judged again and again while a service runs, as it stands now.

    x, y, resource, unit: as `leaklab.verdict.judge_series.judge_series` takes them. A leak counts
    where it held at the looks before as well, each with two thirds of what the one after it saw;
    else the verdict is "inconclusive", with the rate, and more_x says how much longer.

    >>> judge_followed(range(300), [1e7 + 5e4 * k for k in range(300)]).verdict
    'leak'
    """
    import numpy as np

    from leaklab.analysis.given_series import figures, places
    from leaklab.verdict.judge_series import judge_series  # which works out words and horizons

    at, values = places(x, "x", unit).values, figures(y, "y")
    entry = judge_series(at, values, resource=resource, unit=unit)
    span, held = float(np.ptp(at)) if len(at) else 0.0, 1
    while entry.verdict == LEAK and held < LEAK_LOOKS:
        seen = at <= at[0] + span / LOOK_RATIO**held
        if judge_series(at[seen], values[seen], resource=resource, unit=unit).verdict != LEAK:
            more = span * (LOOK_RATIO ** (LEAK_LOOKS - held) - 1)
            why = (
                f"{entry.why}; but what fills up looks so at first: a leak is one that was seen "
                f"at {LEAK_LOOKS} looks, this is number {held}"
            )
            return replace(entry, verdict=INCONCLUSIVE, why=why, more_x=more, advice=FOLLOW)
        held += 1
    return entry
