"""Two readers of one series, and what they say together.

The first looks at floors, windows and events (:mod:`leaklab.verdict.evidence`), the second weighs
a table of models against each other (:mod:`leaklab.verdict.odds`). It is a leak where the first
says so and the second does not say otherwise, or where the second is sure; bounded where the first
says so, the second agrees, what explains the curve has settled long enough before the end for
growth to have shown, and no growth is left open that would be large beside what is there; else it
is undecided, and the evidence says what would not have shown.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from leaklab.verdict.evidence import GROWS, MINIMUM_POINTS, STOPPED, UNDECIDED, Evidence, weigh
from leaklab.verdict.growth import Growth
from leaklab.verdict.odds import Odds, odds_of
from leaklab.verdict.posterior import TOOTH


@dataclass(frozen=True)
class Limits:
    """The decisions on one series, in log odds of growing unless it says otherwise.

    Those without a value here are quantiles, written by ``make calibrate`` into ``limits.json``
    with the series they come from and the errors they make on families that were left out; those
    below which a series is bounded are never above even odds.

    confirms: at least so much confirms a leak that the first reader sees. alone: above it the
    second reader is sure where the first is undecided, and above ``against`` where that one calls
    the series bounded. one_of_many: so much more for a series that was picked for its growth.
    rise: multiples of what matters that growth must have brought. bounded: below it a series is
    bounded that the first reader calls so; surely: below it where that one sees a rise it cannot
    place. unseen: as likely, at most, growth over as much work again may be that is more than
    left_open multiples of what matters and than of_level of what is there. settled: share of the
    run that smooth shapes may take up. silence: as likely, at most, what follows the last step may
    be if steps keep coming. blind: share of the run that must not be missing in one piece.
    """

    confirms: float
    alone: float
    against: float
    bounded: float
    surely: float
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
# What is asked for more is at least, and at most, so many times the run.
LONGER = (0.25, 3.0)
# The first reader's observations that leave open whether it rose.
SLOWING = ("slowing", "levelled")
OPEN = ("reached", "unsteady", "bent", "teeth", "slowing")


def read(
    growth: Growth,
    *,
    material: float,
    whole_gain: float,
    one_of_many: bool = False,
    limits: Limits = LIMITS,
) -> tuple[Growth, Evidence]:
    """Growth with its rate and interval, and what both readers say of it.

    material: growth over the run that matters, in the unit of the series; the other arguments are
    those of :func:`leaklab.verdict.evidence.weigh`.
    """
    first = weigh(growth, material=material, whole_gain=whole_gain, one_of_many=one_of_many)
    more = limits.one_of_many * one_of_many
    # Below these odds nothing depends on what they are.
    least = _least(first, more, limits) if more else limits.surely
    odds = second(growth, first, material=material, least=least)
    if odds is None:
        return growth, first
    evidence = together(first, odds, growth.run_span, more=more, limits=limits)
    return _measured(growth, odds, material), replace(evidence, shape=shape_text(odds))


def second(growth: Growth, first: Evidence, *, material: float, least: float) -> Odds | None:
    """What the second reader sees, after the first; None for what is too short or too small.

    least: as in :func:`leaklab.verdict.odds.odds_of`.
    """
    x, y = growth.whole_x, growth.whole_y
    if len(x) < MINIMUM_POINTS or first.code == "few" or np.ptp(y) < material:
        return None
    return odds_of(x, y, material, least=least)


def _least(first: Evidence, more: float, limits: Limits) -> float:
    """The log odds above which a series leaks, for what the first reader says."""
    if first.code in SLOWING:
        return float(np.inf)
    if first.verdict == GROWS:
        return limits.confirms
    return more + (limits.against if first.verdict == STOPPED else limits.alone)


def _measured(growth: Growth, odds: Odds, material: float) -> Growth:
    """Growth with the interval of the table of models, and a rate within it."""
    by_run = material / growth.run_span
    low, high = odds.whole.low * by_run, odds.whole.high * by_run
    rate = growth.rate if low <= growth.rate <= high else odds.whole.growth * by_run
    return replace(growth, rate=rate, rate_low=low, rate_high=high)


def together(
    first: Evidence, odds: Odds, run_span: float, *, more: float = 0.0, limits: Limits = LIMITS
) -> Evidence:
    """What both say together of a run of ``run_span``; ``more``: log odds beyond the limits."""
    said, value, whole = first.verdict, odds.log_odds, odds.whole
    least = _least(first, more, limits)
    if value > least and whole.rise > limits.rise:
        if odds.widest_gap > limits.blind:
            return _undecided(first, "blind", run_span * odds.widest_gap)
        return first if said == GROWS else replace(first, verdict=GROWS, code="odds", more_x=0.0)
    clear = value < (limits.surely if first.code in OPEN else limits.bounded)
    if clear and said != GROWS and not more:
        if whole.smooth > limits.settled or whole.silence > limits.silence:
            return _undecided(first, "unsettled", run_span)
        if odds.widest_gap > limits.blind:
            return _undecided(first, "blind", run_span * odds.widest_gap)
        matters = max(limits.left_open, limits.of_level * odds.level)
        open_share = odds.left_open(limits.unseen) / matters
        if open_share > 1:
            return _undecided(first, "weak", run_span * _longer(open_share))
        return first if said == STOPPED else replace(first, verdict=STOPPED, code="flat", more_x=0)
    if said == UNDECIDED or (said == STOPPED and more):
        return first  # of one of many the others, and their sum, say more
    longer = float(np.clip((limits.alone + more) / max(value, 0.5) - 1, *LONGER))
    code = "weak" if said == STOPPED else "doubtful"
    return _undecided(first, code, run_span * longer)


def _longer(open_share: float) -> float:
    """So many times the run more, until growth is left open that is as many times smaller.

    The error of a slope falls with the length of the run to the power of three halves, and as much
    work again is longer then.
    """
    return float(np.clip(open_share**2 - 1, *LONGER))


def _undecided(first: Evidence, code: str, more_x: float) -> Evidence:
    return replace(first, verdict=UNDECIDED, code=code, more_x=more_x)


def shape_text(odds: Odds) -> str:
    """The bounded shape that explains a curve best: "levels off", "a step at 60 % of the run"."""
    shapes = odds.whole.shapes
    if TOOTH in shapes:
        return f"{odds.teeth + 1} teeth"
    steps = [f"{100 * shape.at:.0f} %" for shape in shapes if shape.kind == "step"]
    words = []
    for shape in shapes:
        if shape.kind in ("exp", "hyperbola"):
            words.append("levels off")
        elif shape.kind == "ramp":
            words.append(f"fills until {100 * shape.at:.0f} % of the run")
        elif shape.kind == "sigmoid":
            words.append(f"rises around {100 * shape.at:.0f} % of the run")
        elif shape.kind == "sine":
            words.append(f"a cycle, {shape.at:.3g} times in the run")
    if steps:
        places = " and ".join(steps)
        words.append(f"{'a step' if len(steps) == 1 else 'steps'} at {places} of the run")
    return " and ".join(dict.fromkeys(words)) or "a level"
