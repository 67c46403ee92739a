"""Judge any series of figures: no run, no recording, two arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from leaklab.analysis.given_series import figures, figures_at_once, places
from leaklab.analysis.long_series import lone_series
from leaklab.arguments import check_limit
from leaklab.errors import UsageError
from leaklab.present.formatting import span_text
from leaklab.resources import check_name, check_pages
from leaklab.verdict.horizon import over
from leaklab.verdict.imported import judge_foreign
from leaklab.verdict.resources import ResourceVerdict, judge_figures

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

UNITS = ("second", "iteration", "request")


def judge_series(
    x: ArrayLike,
    y: ArrayLike,
    *,
    resource: str = "rss_bytes",
    unit: str = "second",
    horizon: float | None = None,
) -> ResourceVerdict:
    """Judge whether a series keeps growing.

    x: places of the looks, not decreasing, in ``unit`` ("second", "iteration", or "request": what
    a service was asked by some time); datetimes and timedeltas, of Python, numpy or pandas, become
    seconds, as does an epoch in any unit. y: the figure at each, in the unit of ``resource`` (bytes
    for ``*_bytes``, counts else), which says how much growth matters: "rss_bytes", "heap_bytes",
    "in_use_bytes", "fd_count", "socket_count", "thread_count", "task_count", "child_count",
    "file_bytes:PATH", "gauge:NAME". NaN is left out. horizon: for how much more of x "bounded" must
    hold; None: for as much once more.

    Returns verdict ("leak", "bounded", "inconclusive"), rate with its 95 % interval rate_low to
    rate_high and excluded (the largest growth not excluded), all per unit of x, reason, and more_x
    (how much longer to record until it would be decided). Raises `UsageError` for arrays of
    different length or of no numbers, resident memory below a page, x that decreases, figures of
    several processes at each x, an unknown unit or resource, or a horizon that is not positive.

    >>> judge_series(range(100), [1e6 + 5e4 * k for k in range(100)]).verdict
    'leak'
    """
    if unit not in UNITS:
        raise UsageError(f"unknown unit: {unit}; allowed: {', '.join(UNITS)}")
    check_name(resource)
    check_limit("horizon", horizon, unit)
    x_values, y_values = _arrays(x, y, unit)
    check_pages(resource, float(y_values.max(initial=0.0)))
    if unit != "iteration" and len(x_values):
        # As figures of a file are: what comes with the time of day is no growth.
        verdict = judge_foreign(lone_series(x_values, y_values, name=resource, unit=unit))
    else:
        verdict = judge_figures(x_values, y_values, name=resource, unit=unit)
    if horizon is None or not len(x_values):
        return verdict
    span, words = float(np.ptp(x_values)), span_text(horizon, unit)
    return over(verdict, horizon, span, words, level=verdict.last_floor)


def _arrays(x: ArrayLike, y: ArrayLike, unit: str) -> tuple[Any, Any]:
    """Both as floats, without what is not a number; datetimes as seconds since the first."""
    at = places(x, "x", unit)
    x_values, y_values = at.values, figures(y, "y")
    if at.is_epoch:
        x_values = x_values - at.started()
    if x_values.ndim != 1 or x_values.shape != y_values.shape:
        raise UsageError(
            f"x and y differ: shapes {x_values.shape} and {y_values.shape}; "
            "give two one-dimensional arrays of the same length"
        )
    known = np.isfinite(x_values) & np.isfinite(y_values)
    x_values, y_values = x_values[known], y_values[known]
    if (np.diff(x_values) < 0).any():
        place = int(np.argmax(np.diff(x_values) < 0))
        raise UsageError(
            f"x decreases: {x_values[place]:g} is followed by {x_values[place + 1]:g}; "
            "sort both arrays by x"
        )
    if at_once := figures_at_once(x_values, y_values):
        raise UsageError(
            f"{at_once.figures} figures at {at_once.where('x', 'x')}, far apart: of several "
            "processes? judge each on its own"
        )
    return x_values, y_values
