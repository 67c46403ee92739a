"""Which rows of a table are of one process: by what its columns say, and by how its figures run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leaklab.analysis.given_series import AtOnce, figures_at_once
from leaklab.errors import UsageError
from leaklab.importers import columns as known
from leaklab.importers.cells import figures_of, is_numeric
from leaklab.importers.reading import Member, Options
from leaklab.importers.units import words_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_LEAST_GROWTH_ROWS = 3
# A column tells processes apart that gives each row its own place for nearly all of them.
_TELLING_SHARE = 0.9
# What falls at more of the rows than this is no counter, whatever it is called.
_LARGEST_FALLING_SHARE = 0.1


def at_once(members: Iterable[Member], judged: Sequence[str]) -> AtOnce | None:
    """Return where the processes have several figures at one time, as if they were several in one.

    Other gauges than those ``judged`` may count anything, such as the number of a process.
    """
    parts = [part for member in members for part in member.series]
    for part in parts:
        if part.name.startswith("gauge:") and part.name not in judged:
            continue
        timed = part.marks is None or bool(np.isfinite(part.seconds).all())
        places = part.seconds if timed or part.marks is None else part.marks
        if found := figures_at_once(places, part.values):
            return found
    return None


def told_apart(
    frame: pd.DataFrame,
    places: Floats,
    grouped_by: str,
    found: AtOnce,
    options: Options,
    path: Path,
) -> tuple[NDArray[Any], str]:
    """Return the labels, and their column, of processes that no column with a known name tells.

    That is the one text that does. Raises UsageError with the columns that may where it is not one.
    """
    columns = [name for name in frame.columns if name not in (grouped_by, options.time)]
    telling = [name for name in columns if _tells(frame[name], places)]
    texts = [name for name in telling if frame[name].dtype.kind not in "iufb"]
    if len(texts) == 1 and not grouped_by:
        return frame[texts[0]].astype("string").fillna("unnamed").to_numpy(object), texts[0]
    if telling:
        way_out = f"--group COL tells them apart, of {', '.join(telling[:5])}"
        way_out = f"--group {telling[0]} tells them apart" if len(telling) == 1 else way_out
    elif options.line:
        way_out = r"take what tells them apart with a group, as worker=(?P<worker>\w+), in --line"
    else:
        way_out = "no column tells them apart: add one with the pid, or save each to its own file"
    by = f" of each {grouped_by}" if grouped_by else ""
    where = found.where("time", "times")
    raise UsageError(
        f"{found.figures} figures{by} at {where}: {path}; several processes? {way_out}"
    )


def _tells(column: pd.Series[Any], places: Floats) -> bool:
    """Whether a column may be the label of processes: no figure, and another one at each place."""
    name = str(column.name)
    figure = (
        known.resource_of(name) or known.is_memory(name) or known.CPU_WORDS & set(words_of(name))
    )
    if figure or known.is_counter(name) or known.is_time(name) or column.dtype.kind in "fb":
        return False
    sizes = column.value_counts()
    if not 1 < len(sizes) <= len(column) / _LEAST_GROWTH_ROWS:
        return False
    twice = column.groupby(places).apply(lambda part: part.duplicated().any())
    return bool(1 - twice.mean() >= _TELLING_SHARE)


def group_of(
    frame: pd.DataFrame, options: Options, places: Floats
) -> tuple[NDArray[Any] | None, str]:
    """Return the label of each row, and its column, where several processes share the table."""
    name = options.group
    if name is None:
        names = [str(column) for column in frame.columns]
        candidates = [n for n in names if "_".join(words_of(n)) in known.GROUP_WORDS]
        name = next((n for n in candidates if frame[n].nunique() > 1), None)
        if name is None:
            # Pids that are there at the same time are processes; one after another they are lives.
            pids = [n for n in names if "_".join(words_of(n)) in known.PID_WORDS]
            name = next((n for n in pids if _overlap(frame[n], places)), None)
    if name is None:
        return None, ""
    labels = frame[name].astype("string").fillna("unnamed").to_numpy(object)
    if options.group is None and frame[name].nunique() > len(frame) / _LEAST_GROWTH_ROWS:
        return None, ""
    return labels, name


def only_of(frame: pd.DataFrame, options: Options) -> str:
    """Return the label that all rows have in common, where one column has one; "" for none.

    A pod says more than the container in it, which is in all pods.
    """
    names = {"_".join(words_of(str(column))): str(column) for column in frame.columns[::-1]}
    candidates = (options.group, *(names.get(word) for word in ("pod", *known.GROUP_WORDS)))
    name = next((n for n in candidates if n is not None and n in frame), None)
    values = list(frame[name].dropna().unique()) if name is not None else []
    return str(values[0]) if len(values) == 1 else ""


def _overlap(column: pd.Series[Any], places: Floats) -> bool:
    """Whether several values of a column are seen over the same stretch of time."""
    spans = []
    for value in column.dropna().unique():
        rows = np.flatnonzero((column == value).to_numpy())
        spans.append((places[rows[0]], places[rows[-1]]))
    spans.sort()
    return any(later[0] < earlier[1] for earlier, later in pairwise(spans))


def life_of(
    frame: pd.DataFrame,
    path: Path,
    group: NDArray[Any] | None = None,
    marks: str = "",
) -> tuple[NDArray[Any] | None, str]:
    """Return what changes when a process is replaced, and its column.

    It is a start time, a container's id, an uptime that falls, a pid, or a counter that falls: one
    by its name, or ``marks``. ``group``: the process of each row, each of which has its own.
    """
    names = [str(name) for name in frame.columns]
    for name in names:
        if known.is_start(name) and 1 <= frame[name].nunique() <= max(len(frame) / 3, 1):
            return frame[name].astype("string").fillna("").to_numpy(object), name
    for name in names:
        if "uptime" in words_of(name) and is_numeric(frame[name]):
            return _fallen(figures_of(frame[name], name, path)[0], group), name
    for name in names:
        if "_".join(words_of(name)) in known.PID_WORDS and frame[name].nunique() > 1:
            return frame[name].to_numpy(), name
    for name in names:
        counts = known.is_counter(name) and not known.is_memory(name)
        if (name == marks or counts) and is_numeric(frame[name]):
            fallen = _fallen(figures_of(frame[name], name, path)[0], group)
            if 0 < fallen.max(initial=0) <= _LARGEST_FALLING_SHARE * len(frame):
                return fallen, name
    return None, ""


def _fallen(figures: Floats, group: NDArray[Any] | None) -> NDArray[np.int64]:
    """How often what only grows in one life has fallen up to each row, in its own process."""
    fallen = np.zeros(len(figures), np.int64)
    labels = np.zeros(len(figures), int) if group is None else group
    for label in dict.fromkeys(labels.tolist()):
        rows = np.flatnonzero((labels == label) & np.isfinite(figures))
        fallen[rows] = np.cumsum(np.diff(figures[rows], prepend=-np.inf) < 0)
    return fallen
