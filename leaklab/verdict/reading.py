"""What is said of one series: the odds of the table of models, and the limits for them.

It is a leak where growing is likely enough against every bounded model
(:mod:`leaklab.verdict.odds`). Less is asked where the floor goes on rising after warm-up, and none
is what slows down exactly (:mod:`leaklab.verdict.evidence`). It is bounded where growing is
unlikely, what explains the curve has settled long enough before the end for growth to have shown,
and no growth is left open that would be large beside what is there. Else it is undecided, and the
evidence says what would not have shown.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from leaklab.verdict.evidence import (
    GROWS,
    MINIMUM_POINTS,
    RISES,
    SLOWS,
    STOPPED,
    UNDECIDED,
    Evidence,
    course,
)
from leaklab.verdict.growth import Growth
from leaklab.verdict.models import TOOTH
from leaklab.verdict.odds import PARTS, Odds, beside, odds_of, widest_gap
from leaklab.verdict.posterior import Posterior


@dataclass(frozen=True)
class Limits:
    """The decisions on one series, in log odds of growing unless it says otherwise.

    Those without a value here are quantiles, written by ``make calibrate`` into ``limits.json``
    with the series they come from and the errors they make on families that were left out; that
    below which a series is bounded is never above even odds.

    leak_rising, leak: above it a series grows, whose floor goes on rising after warm-up, or any
    other. bounded: below it a series is bounded. one_of_many: so much more for a series that was
    picked for its growth. rise: multiples of what matters that growth must have brought. unseen: as
    likely, at most, growth over as much work again may be that is more than left_open multiples of
    what matters and than of_level of what is there. settled: share of the run that smooth shapes
    may take up. silence: as likely, at most, what follows the last step may be if steps keep
    coming. blind: share of the run that must not be missing in one piece.
    """

    leak_rising: float
    leak: float
    bounded: float
    one_of_many: float = 2.0
    rise: float = 2.0
    unseen: float = 0.01
    left_open: float = 20.0
    of_level: float = 0.25
    settled: float = 0.8
    silence: float = 0.5
    blind: float = 0.25


CALIBRATION = Path(__file__).with_name("limits.json")
LIMITS = Limits(**json.loads(CALIBRATION.read_text())["limits"])
# What a heap holds is exact: growth is told as soon as it matters.
EXACT = replace(LIMITS, rise=1.0)
# What is asked for more is at least, and at most, so many times the run.
LONGER = (0.25, 3.0)
# What is said of the steadiest figures of a series while others of it may grow.
MAY_HIDE = ("flat", "weak", "unsettled", "doubtful")
# The end of a run that may hold a rise which its steadiest figures do not show yet: the last of its
# widest parts. And the figures there that must all be above what was before, no fewer.
LATEST_SHARE, LAST_SHARE, FEWEST_LAST = 1 / min(PARTS), 1 / max(PARTS), 5


def read(
    growth: Growth, *, material: float, one_of_many: bool = False, limits: Limits = LIMITS
) -> tuple[Growth, Evidence]:
    """Growth with its rate and interval, and what it is evidence for.

    material: growth over the run that matters, in the unit of the series. one_of_many: the series
    was picked for its growth out of many, such as the sites of a heap; noise alone brings some of
    them far.
    """
    early = too_little(growth, material)
    if early is not None:
        may_creep = early.code == "small" and not one_of_many
        return _creeping(growth, material, early, limits) if may_creep else (growth, early)
    goes_on = course(growth, limits.rise * material)
    more = limits.one_of_many * one_of_many
    # Below these odds nothing depends on what they are.
    least = 0.0 if more else limits.bounded
    odds = odds_of(growth.whole_x, growth.whole_y, material, least=least)
    if odds is None:
        return growth, Evidence(UNDECIDED, "blind", growth.run_span * widest_gap(growth.whole_x))
    evidence = decide(odds, goes_on, growth.run_span, more=more, limits=limits)
    evidence = replace(evidence, shape=shape_text(odds))
    whole = odds.whole
    if evidence.code in MAY_HIDE and not more:
        found = beside(odds, growth.whole_x, growth.whole_y, material)
        figures, other = found or ("", odds)
        if other.log_odds > limits.leak and other.whole.rise > limits.rise:
            evidence = Evidence(UNDECIDED, "hidden", growth.run_span, shape=figures)
            whole = other.whole
    if not more:
        evidence = unless_rising_at_end(growth, evidence, material)
    return _measured(growth, whole, material), evidence


def unless_rising_at_end(growth: Growth, evidence: Evidence, material: float) -> Evidence:
    """The evidence that growth has stopped; undecided where a run ends above all that was before.

    All of the last figures are by what matters above each until then: what came last was seen too
    shortly to tell whether more follows, and the lowest of a part of the run does not show it.
    """
    if evidence.code != "flat":
        return evidence
    y, late = growth.whole_y, growth.whole_x > growth.end_x - LATEST_SHARE * growth.run_span
    last = max(FEWEST_LAST, round(LAST_SHARE * len(y)))
    if late.sum() < last or late.all() or y[-last:].min() - y[~late].max() <= material:
        return evidence
    return Evidence(UNDECIDED, "unsettled", growth.run_span, shape="a rise at its very end")


def too_little(growth: Growth, material: float) -> Evidence | None:
    """What is said of a series of too few figures or too small moves; None where models are
    weighed."""
    count = growth.point_count
    if count < MINIMUM_POINTS or len(growth.x) < 4:
        per_point = growth.run_span / (count - 1) if count > 1 else 1.0
        missing = max(MINIMUM_POINTS - count, MINIMUM_POINTS // 2)
        return Evidence(UNDECIDED, "few", missing * per_point)
    moved = np.ptp(growth.whole_y)
    if moved < material:
        return Evidence(STOPPED, "small" if moved else "flat")
    return None


def _creeping(
    growth: Growth, material: float, early: Evidence, limits: Limits
) -> tuple[Growth, Evidence]:
    """What is said of moves too small to matter: nothing against growth that is clear by itself,
    and would matter in a run twice as long."""
    moved = float(np.ptp(growth.whole_y))
    if 2 * moved < material:
        return growth, early
    goes_on = course(growth, limits.rise * moved / 2)
    odds = odds_of(growth.whole_x, growth.whole_y, moved / 2, least=limits.leak_rising)
    if odds is None or decide(odds, goes_on, growth.run_span, limits=limits).verdict != GROWS:
        return growth, early
    return _measured(growth, odds.whole, moved / 2), Evidence(
        UNDECIDED, "creeping", growth.run_span
    )


def _measured(growth: Growth, whole: Posterior, material: float) -> Growth:
    """Growth with the interval of the table of models, and a rate within it."""
    by_run = material / growth.run_span
    low, high = whole.low * by_run, whole.high * by_run
    rate = growth.rate if low <= growth.rate <= high else whole.growth * by_run
    return replace(growth, rate=rate, rate_low=low, rate_high=high)


def decide(
    odds: Odds, goes_on: str, run_span: float, *, more: float = 0.0, limits: Limits = LIMITS
) -> Evidence:
    """What the odds say of a run of ``run_span``.

    goes_on: its course (:func:`leaklab.verdict.evidence.course`). more: log odds beyond the limits.
    """
    value, whole, rising = odds.log_odds, odds.whole, goes_on == RISES
    blind = Evidence(UNDECIDED, "blind", run_span * odds.widest_gap)
    least = (limits.leak_rising if rising else limits.leak) + more
    if goes_on == SLOWS and (value > least or whole.smooth > limits.settled):
        return Evidence(UNDECIDED, "slowing", run_span)
    if more and (value < 0 or whole.low <= 0):  # the others, and their sum, say more
        return Evidence(STOPPED, "flat")
    if value > least and whole.rise > limits.rise:
        if odds.widest_gap > limits.blind:
            return blind
        return Evidence(GROWS, "steady" if rising else "odds")
    if value < limits.bounded:
        if whole.smooth > limits.settled or whole.silence > limits.silence:
            return Evidence(UNDECIDED, "unsettled", run_span)
        if odds.widest_gap > limits.blind:
            return blind
        matters = max(limits.left_open, limits.of_level * odds.level)
        open_share = odds.left_open(limits.unseen) / matters
        if open_share > 1:
            return Evidence(UNDECIDED, "weak", run_span * _longer(open_share))
        return Evidence(STOPPED, "flat")
    longer = float(np.clip((limits.leak + more) / max(value, 0.5) - 1, *LONGER))
    return Evidence(UNDECIDED, "doubtful" if value > 0 else "weak", run_span * longer)


def _longer(open_share: float) -> float:
    """So many times the run more, until growth is left open that is as many times smaller.

    The error of a slope falls with the length of the run to the power of three halves, and as much
    work again is longer then.
    """
    return float(np.clip(open_share**2 - 1, *LONGER))


def shape_text(odds: Odds) -> str:
    """The bounded shape that explains a curve best: "a curve that levels off",
    "a step at 60 % of the run"."""
    shapes = odds.whole.shapes
    if TOOTH in shapes:
        return f"{odds.teeth + 1} teeth"
    steps = [f"{100 * shape.at:.0f} %" for shape in shapes if shape.kind == "step"]
    words = []
    for shape in shapes:
        if shape.kind in ("exp", "hyperbola"):
            words.append("a curve that levels off")
        elif shape.kind == "ramp":
            words.append(f"a filling until {100 * shape.at:.0f} % of the run")
        elif shape.kind == "sigmoid":
            words.append(f"a rise around {100 * shape.at:.0f} % of the run")
        elif shape.kind == "sine":
            words.append(f"a cycle, {shape.at:.3g} times in the run")
    if steps:
        places = " and ".join(steps)
        words.append(f"{'a step' if len(steps) == 1 else 'steps'} at {places} of the run")
    return " and ".join(dict.fromkeys(words)) or "a level"
