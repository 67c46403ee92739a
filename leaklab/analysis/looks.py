"""Which looks at a run are compared: evenly spaced ones, with the same pause before each.

The recorder doubles its step as a run goes on, and says in run.json what it came to; what was
looked at in between, when the step was smaller, is left out here. Runs from before it said so are
taken as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Figures taken after a collection stand for the run where so much of the marks lies before the last
# of them, and there are so many of them, or more than of the others.
COVERED_SHARE = 0.75
FEWEST_COLLECTED = 10
# A traced program needs at most so many times as long as an untraced one for the same work.
SLOWEST_TRACED = 10.0


def evenly(
    x: Floats,
    process: NDArray[Any],
    members: Mapping[int, Mapping[str, Any]],
    *steps: str,
    since_start: bool = False,
) -> NDArray[np.bool_]:
    """Return which of the points, in order of time, are the first in a step of their process.

    x: marks or seconds of each point. members: entries of ``meta["processes"]``; the first of
    ``steps`` that their ``looks`` name is the step, in the unit of x. since_start: x counts from
    the start of the pass, and steps from that of the process, or from when it had imported all.

        >>> evenly(np.array([1.0, 2, 3, 4, 8, 12]), np.zeros(6), {0: {"looks": {"mark_step": 4}}},
        ...        "mark_step")
        array([ True, False, False,  True,  True,  True])
    """
    kept = np.ones(len(x), bool)
    for number, entry in members.items():
        looks = entry.get("looks") or {}
        step = next((looks[name] for name in steps if looks.get(name)), None)
        mine = np.flatnonzero(process == number)
        if step is None or not len(mine):
            continue
        begin = 0.0
        if since_start:
            begin = float(entry.get("started_seconds") or 0.0)
            begin += float(looks.get("snapshots_since_seconds") or 0.0)
        cell = np.floor((x[mine] - begin) / step)
        kept[mine[1:]] = np.diff(cell) > 0
    return kept


def unmixed(
    at_mark: NDArray[np.bool_], collected: NDArray[np.bool_], marks: Floats
) -> list[NDArray[np.bool_]]:
    """Return the points at marks with a collection right before them, and those without one.

    The collected ones come first where they cover the run; the two are never one series, for
    garbage that waits is in one and not in the other.
    """
    with_one, without = at_mark & collected, at_mark & ~collected
    if not with_one.any():
        return [without]
    if not without.any():
        return [with_one]
    covers = marks[with_one].max() >= COVERED_SHARE * marks[with_one | without].max()
    enough = with_one.sum() >= min(FEWEST_COLLECTED, without.sum())
    return [with_one, without] if covers and enough else [without, with_one]
