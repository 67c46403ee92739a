"""A table of any length in memory that does not grow with it: parts are read one by one, and of
more moments than a verdict needs every second, fourth … is kept, as a recording keeps its looks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from leaklab.importers import columns as known
from leaklab.importers.cells import is_numeric
from leaklab.importers.units import words_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

PART_ROWS = 1 << 14
# Three months at one a minute; of more every second one is left out.
MOST_ROWS = 1 << 17
# A text that has more different values than this in one part tells no processes apart.
MOST_LABELS = 500


def thinned(
    parts: Iterable[pd.DataFrame],
    time_name: str | None,
    most_rows: int = MOST_ROWS,
    *,
    group: str | None = None,
    kind: str | None = None,
) -> tuple[pd.DataFrame, int]:
    """Return the rows of all parts in one table, and that every how many-th row was kept.

    Rows are counted for each process apart, as its label, ``group`` or pid tells them, or by their
    times, so that rows of several by turns lose none of them; and apart for each ``kind``, a column
    that is not handed on, as figures may stand in every twentieth row of a log. Dates in
    ``time_name`` (None: columns that hold times by their name) become seconds since the epoch.
    """
    import pandas as pd

    kept: list[pd.DataFrame] = []
    seen: dict[Any, int] = {}
    labels: list[str] | None = None
    step, rows = 1, 0
    for part in parts:
        if labels is None:
            labels = [
                name
                for name in part.columns
                if name != kind and _tells_apart(part[name], time_name, group)
            ]
        number = _numbers(part, labels, seen, time_name, kind)
        part = _without_dates(part, time_name)
        part[_NUMBER] = number
        part = part[number % step == 0]
        kept.append(part)
        rows += len(part)
        while rows > most_rows:
            step *= 2
            kept = [before[before[_NUMBER] % step == 0] for before in kept]
            shorter = sum(len(before) for before in kept)
            if shorter == rows:  # as many processes as rows: there is nothing to leave out
                break
            rows = shorter
    if not kept:
        return pd.DataFrame(), 1
    whole = pd.concat(kept, ignore_index=True)
    return whole.drop(columns=[_NUMBER, *([kind] if kind else [])]), step


def note(step: int) -> list[str]:
    """Return what to say of the rows that were left out: nothing where all were kept."""
    return [f"kept: one row in {step}, as there are more than {MOST_ROWS:,}"] if step > 1 else []


_NUMBER = "\0number"


def _tells_apart(column: pd.Series[Any], time_name: str | None, group: str | None) -> bool:
    """Whether a column may say whose row it is: a text with few values, or a pid."""
    name = str(column.name)
    if name == group:
        return True
    if name == time_name or (known.is_time(name) and not known.is_start(name)):
        return False
    if "_".join(words_of(name)) in known.PID_WORDS:
        return True
    if column.dtype.kind in "iufb" or not 1 < column.nunique() <= MOST_LABELS:
        return False
    # Figures with a unit or a decimal comma are texts, too.
    return not is_numeric(column)


def _numbers(
    part: pd.DataFrame,
    labels: list[str],
    seen: dict[Any, int],
    time_name: str | None,
    kind: str | None,
) -> NDArray[np.int64]:
    """The number of each row among those of its process, from 0; ``seen`` goes on with the next.

    Without labels rows of one time have one number: they may be of several processes.
    """
    kinds = [kind] if kind else []
    if not labels:
        time_name = time_name or known.named([str(name) for name in part], known.TIME_WORDS)
        number = np.empty(len(part), np.int64)
        whole: dict[Any, Any] = {None: np.arange(len(part))}
        for key, mine in (part.groupby(kind).indices if kind else whole).items():
            new = np.ones(len(mine), np.int64)
            if time_name in part:
                times = part[time_name].iloc[mine]
                new[1:] = times.ne(times.shift()).to_numpy()[1:]
            begin = seen.get(key, 0)
            seen[key] = begin + int(new.sum())
            number[mine] = begin + np.cumsum(new) - 1
        return number
    # A later part may lack one: no record in it told that.
    part = part.reindex(columns=[*labels, *kinds])
    groups = part.groupby([*labels, *kinds], dropna=False, sort=False)
    counted = groups.cumcount().to_numpy(np.int64)
    which = groups.ngroup().to_numpy()
    keys = list(part.drop_duplicates().itertuples(index=False, name=None))
    begins = np.array([seen.get(str(key), 0) for key in keys])
    counts = np.bincount(which, minlength=len(keys))
    seen.update((str(key), int(b + c)) for key, b, c in zip(keys, begins, counts, strict=True))
    return np.asarray(counted + begins[which], np.int64)


def _without_dates(part: pd.DataFrame, time_name: str | None) -> pd.DataFrame:
    """The part with dates as seconds since the epoch: a text a row is ten times as large."""
    import pandas as pd

    part = part.copy(deep=False)
    for name in part.columns:
        column = part[name]
        asked = name == time_name or (time_name is None and known.is_time(str(name)))
        if not asked or column.dtype.kind in "iufb" or not column.notna().any():
            continue
        if not str(column.dropna().iloc[0]).lstrip()[:4].isdecimal():
            continue
        dates = pd.to_datetime(column, format="ISO8601", utc=True, errors="coerce")
        if dates.notna().sum() == column.notna().sum():
            epoch = dates.dt.as_unit("ns").astype("int64").to_numpy() / 1e9
            part[name] = np.where(dates.notna(), epoch, np.nan)
    return part
