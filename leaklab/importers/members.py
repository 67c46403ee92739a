"""Rows of figures as processes: grouped by label, split into lives where restarts are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leaklab.errors import UsageError
from leaklab.importers.columns import least
from leaklab.importers.reading import Member, Reading, Series
from leaklab.resources import PAGE_BYTES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LEAST_FALLING_SHARE = 0.8


def members(
    seconds: Floats,
    values: Mapping[str, Floats],
    *,
    group: NDArray[Any] | None = None,
    life: NDArray[Any] | None = None,
    marks: Floats | None = None,
) -> list[Member]:
    """Return the processes that rows tell of.

    seconds, marks and each of ``values`` (by resource) have one entry a row, NaN where the row
    tells nothing. ``group``: the label of each row, one role each. ``life``: what changes when a
    process is replaced (its pid, start time, container id); lives of one role are one process each.
    """
    labels = np.zeros(len(seconds), int) if group is None else np.asarray(group)
    found: list[Member] = []
    names = list(dict.fromkeys(labels.tolist()))
    for name in names:
        mine = labels == name
        role = "main" if len(names) == 1 else str(name)
        keys = np.asarray(life)[mine] if life is not None else np.zeros(int(mine.sum()), int)
        rows = np.flatnonzero(mine)
        for key in dict.fromkeys(keys.tolist()):
            found += _member(role, key, rows[keys == key], seconds, values, marks, life is not None)
    return found


def _member(
    role: str,
    key: Any,
    rows: NDArray[Any],
    seconds: Floats,
    values: Mapping[str, Floats],
    marks: Floats | None,
    keyed: bool,
) -> list[Member]:
    series = []
    for name, column in values.items():
        kept = rows[np.isfinite(column[rows])]
        if marks is not None:
            kept = kept[np.isfinite(marks[kept])]
        else:
            kept = kept[np.isfinite(seconds[kept])]
        if len(kept):
            at = None if marks is None else marks[kept]
            series.append(Series(name, seconds[kept], column[kept], at))
    pid = int(key) if keyed and isinstance(key, int | float) and 0 < key < 1 << 22 else None
    return [Member(role, tuple(series), pid)] if series else []


def leave_out_unread(reading: Reading, path: Path) -> None:
    """Leave out the figures that no process has: a look that failed is often written as 0 or -1.

    A note says how many. Raises UsageError where nothing else is there.
    """
    counts: dict[str, int] = {}
    kept = []
    for member in reading.members:
        series = []
        for part in member.series:
            good = ~(part.values < least(part.name))
            counts[part.name] = counts.get(part.name, 0) + int((~good).sum())
            if good.any():
                marks = None if part.marks is None else part.marks[good]
                series.append(Series(part.name, part.seconds[good], part.values[good], marks))
        if series:
            kept.append(replace(member, series=tuple(series)))
    left_out = {name: count for name, count in counts.items() if count}
    if reading.members and not kept:
        largest = max(part.values.max() for one in reading.members for part in one.series)
        if largest > 0:
            raise UsageError(
                f"{', '.join(left_out)} of at most {largest:.4g} B: {path}; no process has less "
                "than a page of memory: the figures are in another unit, which --unit says"
            )
        raise UsageError(
            f"no figures in {', '.join(left_out)}: {path}; all are 0 or less, which no process "
            "has: was it still running?"
        )
    reading.members = kept
    for name, count in left_out.items():
        what = _below(least(name))
        row = "row" if count == 1 else "rows"
        reading.notes.append(f"{count:,} {row} with {what} as {name} left out: no process has that")


def _below(lowest: float) -> str:
    """What is said of figures below this, which no process has."""
    if lowest == PAGE_BYTES:
        return "less than a page of memory"
    return "0 or less" if lowest else "less than 0"


def newest_first(seconds: Floats) -> bool:
    """Return whether rows go back in time, but for a few steps: no process restarts at each row."""
    steps = np.diff(seconds)
    falls = int((steps < 0).sum())
    return falls > LEAST_FALLING_SHARE * (falls + int((steps > 0).sum()))


def lives_of_clock(seconds: Floats) -> tuple[Floats, NDArray[Any] | None]:
    """Split rows whose time starts again (runs appended to one file, an uptime that falls).

    Returns seconds that go on, and the number of each row's life (None for one life).
    """
    steps = np.diff(seconds, prepend=seconds[:1])
    again = steps < 0
    if not again.any():
        return seconds, None
    usual = float(np.median(steps[steps > 0])) if (steps > 0).any() else 1.0
    life = np.cumsum(again)
    shift = np.where(again, usual - steps, 0.0)
    return seconds + np.cumsum(shift), life
