"""Figures that are handed over in Python as a run: what ``ll.from_series`` does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from leaklab.analysis.given_series import (
    Places,
    clock_put_back,
    figures,
    figures_at_once,
    places,
)
from leaklab.errors import UsageError
from leaklab.importers.columns import check_judged
from leaklab.importers.reading import Member, Reading, Series
from leaklab.importers.run import in_memory, run_meta
from leaklab.importers.times import put_back_text
from leaklab.resources import check_pages

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leaklab.store import RunData

    Floats = NDArray[np.float64]

_BY_RESOURCE = "give (x, values), or a pandas Series, by resource: {'rss_bytes': series}"


def from_series(
    series: Mapping[str, Any],
    *,
    unit: str,
    name: str,
    limit_bytes: float | None,
) -> RunData:
    """Turn figures of one process, by resource as (x, values), into a run in memory."""
    if unit not in ("second", "iteration"):
        raise UsageError(f"unknown unit: {unit}; allowed: second, iteration")
    if not hasattr(series, "items"):
        raise UsageError(f"no series by resource: {type(series).__name__}; {_BY_RESOURCE}")
    given = {}
    notes: dict[str, None] = {}
    for resource, part in series.items():
        if not isinstance(resource, str) and np.ndim(part) == 0:  # a pandas Series itself, say
            raise UsageError(f"no series by resource: {type(series).__name__}; {_BY_RESOURCE}")
        check_judged(resource)
        x, y = _halves(resource, part)
        at, values = places(x, f"x of {resource}", unit), figures(y, f"the values of {resource}")
        if at.is_epoch and at.values.ndim == 1:
            gone_on, put_back_seconds = clock_put_back(at.values)
            at = replace(at, values=gone_on)
            notes |= {put_back_text(put_back_seconds): None} if put_back_seconds else {}
        given[resource] = (at, values)
    started = _started(given)
    found = list(_cleaned(given, started or 0.0))
    if not any(len(part.values) for part in found):
        raise UsageError(f"no figures: every series is empty; {_BY_RESOURCE}")
    if unit == "iteration":
        found = [replace(part, marks=part.seconds) for part in found]
    judged = tuple(part.name for part in found if part.name.startswith("gauge:"))
    reading = Reading(
        "series",
        ", ".join(series),
        [Member("main", tuple(found))],
        started,
        notes=list(notes),
        judged=judged,
        timed=unit == "second",
    )
    return in_memory(reading, run_meta(reading, name, None, limit_bytes))


def _halves(resource: str, part: Any) -> tuple[Any, Any]:
    """Where the looks of a series are, and its values; a Series of pandas has both."""
    if hasattr(part, "iloc") and getattr(part, "ndim", 0) == 1:
        return part.index, part.to_numpy()
    try:
        x, y = part
    except (TypeError, ValueError):
        raise UsageError(
            f"no (x, values) of {resource}: {type(part).__name__}; {_BY_RESOURCE}"
        ) from None
    return x, y


def _started(given: Mapping[str, tuple[Places, Floats]]) -> float | None:
    """The first moment of all series, None where they have no clock but only a count of seconds."""
    told = {name: at for name, (at, _) in given.items() if np.isfinite(at.started())}
    if len({at.is_epoch for at in told.values()}) > 1:
        kinds = ", ".join(
            f"{'datetimes' if at.is_epoch else 'numbers'} for {name}" for name, at in told.items()
        )
        raise UsageError(f"x of two kinds: {kinds}; give all as datetimes, or all as numbers")
    return min((at.started() for at in told.values() if at.is_epoch), default=None)


def _cleaned(given: Mapping[str, tuple[Places, Floats]], zero: float) -> Iterator[Series]:
    """Yield the series, counted from ``zero``, without what is not finite."""
    for resource, (at, values) in given.items():
        if at.values.shape != values.shape or values.ndim != 1:
            raise UsageError(
                f"x and values of {resource} differ in shape: {at.values.shape} and "
                f"{values.shape}; give two sequences of one length"
            )
        kept = np.isfinite(at.values) & np.isfinite(values)
        check_pages(resource, float(values[kept].max(initial=0.0)))
        if at_once := figures_at_once(at.values[kept], values[kept]):
            raise UsageError(
                f"{at_once.figures} figures of {resource} at {at_once.where('x', 'x')}, far apart: "
                "of several processes? make a run of each"
            )
        yield Series(resource, at.values[kept] - zero, values[kept])
