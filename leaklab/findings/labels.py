"""Which kind of work grows: growth per request of each route, per task of each name."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leaklab.analysis.in_use import AT_LEAST, AT_MOST
from leaklab.analysis.label_points import LabelPoints, label_points
from leaklab.analysis.long_series import long_series
from leaklab.resources import IN_USE, grain_of, is_memory, material
from leaklab.verdict.label_rates import CONFIDENCE, LabelRates, label_rates, part_rates

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leaklab.store import RunData
    from leaklab.verdict.judge import Verdict
    from leaklab.verdict.resources import ResourceVerdict

COLUMNS = ("resource", "role", "label", "calls", "verdict", "rate", "rate_low", "rate_high",
           "growth", "reason")  # fmt: skip
LEAK, BOUNDED, INCONCLUSIVE = "leak", "bounded", "inconclusive"
# Of its first half's rate: below, a label slows down; not surely above the second, it may be
# filling a cache. In simulations of one that was asked for each key once on the average some 3 %
# are then called one (75 % where it need not be shown to go on); a leak takes twice the calls.
SLOW, GOES_ON = 0.5, 2 / 3
# Of all growth: what may hide in a label whose interval reaches that far is too much to call it
# bounded.
HIDDEN_SHARE = 0.2
_ERRORS, _ONE_SIDED_ERRORS = 2.0, 1.645
# Where so many steps are expected by chance, one at least has come as often as intervals cover.
_STEPS_UNSEEN = -math.log(1 - CONFIDENCE)
# A label that is called leaking is one of several: all of them together may be wrong so often.
FALSE_ALARM_SHARE = 0.001


def labels(data: RunData, verdict: Verdict) -> pd.DataFrame:
    """Return growth per unit of work and label, of memory and of what else grows.

    A row per resource, role and label, in the order of the verdict's resources, what grows most
    first. calls: units of work with that label that are judged. rate, rate_low, rate_high: per unit
    of work, in the resource's unit, with a 95 % interval (`leaklab.verdict.label_rates`); NaN where
    labels were always called in the same proportion, or too rarely. growth: rate x calls. verdict:
    ``leak``, ``bounded`` (none seen, at most rate_high) or ``inconclusive``, with its reason. Empty
    where no unit of work was labelled.
    """
    rows: list[dict[str, Any]] = []
    if len(data.labels):
        told = [one for one in verdict.resources if is_memory(one.name) or one.verdict != BOUNDED]
        in_use: dict[Any, float] = {}
        for entry in sorted(told, key=lambda one: one.name != IN_USE):
            found = _of_resource(data, entry, in_use)
            if entry.name == IN_USE:
                in_use |= {(row["role"], row["label"]): row["rate_high"] for row in found}
            rows += found
        order = [(one.name, one.role) for one in told]
        rows.sort(key=lambda row: order.index((row["resource"], row["role"])))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _of_resource(
    data: RunData, entry: ResourceVerdict, in_use: dict[Any, float]
) -> list[dict[str, Any]]:
    """The rows of a resource; ``in_use``: what may stay in use, by role and label, at most."""
    points = _after_warm_up(data, entry, entry.name)
    if points is None:
        return []
    middle = points.middle_age
    early, late = points.where(points.age <= middle), points.where(points.age >= middle)
    first, second = part_rates(early, of=points), part_rates(late, of=points)
    slowing, goes_on = _slower(first, second), _goes_on(first, second)
    # What is over must not count for what goes on.
    begin = middle if slowing.any() else -np.inf
    points = points.where(points.age >= begin)
    calls = points.calls
    rates = label_rates(points)
    for name in (AT_LEAST, AT_MOST) if entry.name == IN_USE else ():
        # The interval holds what growth is whatever the sizes of small blocks are.
        if (sized := _after_warm_up(data, entry, name)) is not None:
            other = label_rates(sized.where(sized.age >= begin))
            low, high = np.fmin(rates.low, other.low), np.fmax(rates.high, other.high)
            rates = replace(rates, low=low, high=high)
    rates = replace(rates, high=np.maximum(rates.high, _unseen(entry, points, in_use)))
    slowing &= rates.low > 0
    total = max(float(np.nansum(rates.rate * calls)), material(entry.name))
    rows = []
    for at in np.flatnonzero(calls > 0).tolist():
        slows, lasts = bool(slowing[at]), bool(goes_on[at])
        said, why = _judged(entry, rates, at, calls, total, slows=slows, goes_on=lasts)
        rows.append(
            {
                "resource": entry.name,
                "role": entry.role,
                "label": points.labels[at],
                "calls": int(calls[at]),
                "verdict": said,
                "rate": float(rates.rate[at]),
                "rate_low": float(rates.low[at]),
                "rate_high": float(rates.high[at]),
                "growth": float(rates.rate[at] * calls[at]),
                "reason": why,
            }
        )
    return sorted(rows, key=lambda row: -np.nan_to_num(row["growth"]))


def _unseen(
    entry: ResourceVerdict, points: LabelPoints, in_use: dict[Any, float]
) -> NDArray[np.float64]:
    """What each label may leave per call without its having shown: a series that stands still has
    no error, but moves in steps, and resident memory not at all where there is room inside."""
    steps = _STEPS_UNSEEN * grain_of(entry.name, points.value.tolist())
    unseen: NDArray[np.float64] = steps / np.maximum(points.calls, 1.0)
    if entry.name == "rss_bytes":
        room = [in_use.get((entry.role, label), 0.0) for label in points.labels]
        unseen = np.fmax(unseen, room)
    return unseen


def _after_warm_up(data: RunData, entry: ResourceVerdict, name: str) -> LabelPoints | None:
    """Return what is judged of a resource; of replaced workers what is after each one's warm-up.

    name: that of the resource, or of what is in use by another size of small blocks.
    """
    series = long_series(data, name, role=entry.role)
    by_age = bool(series.attrs["without"]) and series.attrs["unit"] == "iteration"
    judged = series[series["x"] >= entry.baseline_x]["time_seconds"]
    begin = -np.inf if by_age or not len(judged) else float(judged.iloc[0])
    points = label_points(data, name, role=entry.role, after_seconds=begin)
    if points is not None and by_age:
        points = points.where(points.age >= entry.baseline_x)
    return points if points is not None and len(points.value) else None


def _slower(early: LabelRates, late: LabelRates) -> NDArray[np.bool_]:
    """Say which labels grew more slowly, beyond the errors of both, in the second half."""
    with np.errstate(invalid="ignore"):
        errors = _ERRORS * np.hypot(early.error, late.error)
        slower: NDArray[np.bool_] = early.rate - late.rate > np.maximum(
            errors, (1 - SLOW) * early.rate
        )
    return slower


def _goes_on(early: LabelRates, late: LabelRates) -> NDArray[np.bool_]:
    """Say which labels surely grew on in the second half, at no much lower rate."""
    with np.errstate(invalid="ignore"):
        errors = _ONE_SIDED_ERRORS * np.hypot(late.error, GOES_ON * early.error)
        sure: NDArray[np.bool_] = late.rate - GOES_ON * early.rate > errors
    return sure


def _judged(
    entry: ResourceVerdict,
    rates: LabelRates,
    at: int,
    calls_of: NDArray[np.float64],
    total: float,
    *,
    slows: bool,
    goes_on: bool,
) -> tuple[str, str]:
    """Return verdict and reason of one label; ``total``: growth of the resource in that time."""
    low, high, calls = rates.low[at], rates.high[at], calls_of[at]
    if not np.isfinite(low):
        return INCONCLUSIVE, str(rates.why[at])
    matters = rates.rate[at] * calls >= material(entry.name)
    if low > 0 and matters and entry.verdict != BOUNDED:
        if slows:
            return INCONCLUSIVE, "grew, and slows down"
        sure = NormalDist().inv_cdf(1 - FALSE_ALARM_SHARE / int((calls_of > 0).sum()))
        if rates.rate[at] < sure * rates.error[at]:
            return INCONCLUSIVE, "grew, but so may one of several labels by chance"
        if entry.verdict == LEAK and goes_on:
            return LEAK, "grows with each call"
        return INCONCLUSIVE, "grew, but whether it goes on is not decided; record more calls"
    if high * calls > max(HIDDEN_SHARE * total, material(entry.name)):
        return INCONCLUSIVE, "none seen, but what may be hidden would matter"
    return BOUNDED, "none seen" if not low > 0 else "too little to matter"
