"""Judges figures of a worker by the work it did: what stands still while nobody asks has not
stopped growing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from leaklab.analysis.idle import LEAST_IDLE_SHARE, busy_count
from leaklab.analysis.long_series import DAY_SECONDS, LEAST_PART, covered_seconds
from leaklab.analysis.series import MINIMUM_MARKS
from leaklab.present.formatting import span_text
from leaklab.resources import material
from leaklab.verdict.at_work import judge_at_work, unless_given_back
from leaklab.verdict.evidence import MINIMUM_POINTS
from leaklab.verdict.idle_end import with_words
from leaklab.verdict.resources import (
    INCONCLUSIVE,
    LEAK,
    NO_ADVICE,
    ResourceVerdict,
    gravest,
)
from leaklab.verdict.sequential import judge_followed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def judged(
    name: str, seconds: Sequence[float], values: Sequence[float], work: dict[str, Any]
) -> tuple[ResourceVerdict, float]:
    """Return the verdict on a resource, and what a rate of it is to be taken by for one a second.

    work: what the worker has done up to some seconds, as its keeper leaves it: request_count, where
    a door has counted, and cpu_seconds. By requests where there were some, else by time.
    """
    x, y = np.array(seconds, np.float64), np.array(values, np.float64)
    requests = _done(work.get("request_count"), x)
    if requests is not None and requests[-1] - requests[0] >= MINIMUM_MARKS:
        return _by_requests(name, x, y, requests)
    return judge_at_work(name, x, y, _done(work.get("cpu_seconds"), x)), 1.0


def _done(series: dict[str, Any] | None, x: Floats) -> Floats | None:
    if not series or not series.get("seconds"):
        return None
    done: Floats = np.interp(x, series["seconds"], series["values"])
    return done


def _by_requests(
    name: str, x: Floats, y: Floats, requests: Floats
) -> tuple[ResourceVerdict, float]:
    """The verdict over requests, where what grows by time alone does not contradict it."""
    busy = busy_count(x, x[1:], np.diff(requests) / np.diff(x))
    is_cut = busy < len(x)
    end = busy - 1 if is_cut else int(np.flatnonzero(np.diff(requests) > 0)[-1]) + 1
    idle = float(x[-1] - x[end])
    few = "no" if requests[end] == requests[-1] else "hardly any"
    note = f", {few} requests since {span_text(idle, 'second')}" if idle > 0 else ""
    # Growth without requests is none that waits for them.
    goes_on = bool(y[-1] - y[end] >= material(name))
    seen = len(x) if goes_on else busy
    by_time = judge_followed(x[:seen], y[:seen], resource=name)
    kept = evenly_worked(requests)
    if len(kept) < MINIMUM_POINTS and by_time.verdict != LEAK:
        why = f"has only {len(kept)} figures from while requests came{note}; send more of them"
        return replace(by_time, verdict=INCONCLUSIVE, why=why, advice=NO_ADVICE), 1.0
    entry, pace = by_time, 1.0
    if len(kept) >= MINIMUM_POINTS and not (goes_on and by_time.verdict == LEAK):
        worked = judge_followed(requests[kept], y[kept], resource=name, unit="request")
        # From a quarter of a day on its course may be what work seems to bring.
        is_long = float(covered_seconds(x)) >= LEAST_PART * DAY_SECONDS
        stands_idle = not is_cut and idle >= LEAST_IDLE_SHARE * float(x[-1] - x[0])
        if worked.verdict == LEAK and is_long and by_time.verdict != LEAK:
            worked = with_words(worked, f"; but by time it {by_time.reason}", INCONCLUSIVE)
        elif is_long and not stands_idle:
            worked = by_time
        if gravest((worked.verdict, by_time.verdict)) == worked.verdict:
            entry = worked
    if entry.unit == "request":
        pace = float(requests[-1] - requests[0]) / float(x[end] - x[0])
    return unless_given_back(with_words(entry, note), y, end), pace


def evenly_worked(done: Floats) -> NDArray[np.int64]:
    """Return which points to judge over the work ``done`` up to each: spread as it is.

    Of those between which hardly any was done the last one: hours of next to no work are one point,
    not most of them.
    """
    width = float(done[-1] - done[0]) / (2 * len(done))
    cell = ((done - done[0]) / width).astype(np.int64)
    last = np.append(np.diff(cell) > 0, True)
    return np.flatnonzero(last)
