"""Columns of times as seconds: epoch in any unit, dates, times of day, or time that has passed."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from leaklab.analysis.given_series import clock_put_back, epoch_scale
from leaklab.errors import UsageError
from leaklab.importers.units import words_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_PASSED = {
    "ns": 1e-9, "us": 1e-6, "ms": 1e-3, "millis": 1e-3, "milliseconds": 1e-3,
    "min": 60.0, "mins": 60.0, "minutes": 60.0, "minute": 60.0,
    "h": 3600.0, "hours": 3600.0, "hour": 3600.0, "hrs": 3600.0, "day": 86400.0, "days": 86400.0,
}  # fmt: skip
_TIME_OF_DAY = re.compile(r"\s*(\d{1,2}):(\d\d)(?::(\d\d(?:[.,]\d+)?))?\s*([AaPp][Mm])?\s*")
_DAY_MONTH = re.compile(r"^(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d\d)(?!\d)")
_DAY = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}")
# Columns that spreadsheets and loggers put beside one another.
_DAYS = frozenset(("date", "day", "datum", "fecha", "jour", "data"))
_CLOCKS = frozenset(("time", "clock", "zeit", "uhrzeit", "hora", "heure", "ora"))
_SPAN = re.compile(r"-?\d+ days?(?:,? [+-]?\d\d?:\d\d:\d\d(?:\.\d+)?)?")
_DAY_SECONDS = 86_400.0
# Spreadsheets count days: those of the years 2000 to 2100, and that of the epoch.
_SERIAL_DAYS = (36_526.0, 73_051.0)
_EPOCH_DAY = 25_569.0
# With so many decimals of a day milliseconds are told apart.
_MILLISECOND_DECIMALS = 10
_SECOND_DECIMALS = 5
# Looks an hour apart: as seconds they would be 24 in one.
_CLOSE_DAYS = 1.01 / 24
_DATED = frozenset(("date", "datetime"))
_MOMENT_WORDS = frozenset((*_DATED, "time", "timestamp"))
_UNIT_WORDS = frozenset((*_PASSED, "s", "sec", "secs", "second", "seconds", "elapsed"))


@dataclass(frozen=True)
class Times:
    """Seconds since the first row (NaN for an empty cell), and the epoch of that, where known.

    order: what a date's figures were taken as, "day first" or "month first"; "" where its form
    leaves no choice. taken_as: what figures were, where they could be something else, too.
    put_back_seconds: by so much the clock was put back on the way, and the rest
    is that much later than it says.
    """

    seconds: Floats
    started: float | None
    order: str = ""
    put_back_seconds: float = 0.0
    taken_as: str = ""

    @property
    def said(self) -> list[str]:
        """What to say of how they were read."""
        said = [f"dates {self.order}"] if self.order else []
        said += [self.taken_as] if self.taken_as else []
        if self.put_back_seconds:
            said.append(put_back_text(self.put_back_seconds))
        return said


def put_back_text(seconds: float) -> str:
    """Return what to say of a clock that was put back by so much between two looks."""
    return f"the clock was put back by {seconds / 60:.0f} minutes on the way"


def times_of(name: str, column: pd.Series[Any]) -> Times:
    """Read a column of times. Raises UsageError where it is none, with a cell of it."""
    import pandas as pd

    figures = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    known = np.isfinite(figures)
    if known.any() and known.sum() >= 0.9 * column.notna().sum():
        return _from_figures(name, figures)
    text = column.astype("string").str.strip()
    first = str(text.dropna().iloc[0]) if text.notna().any() else ""
    if _TIME_OF_DAY.fullmatch(first):
        return Times(_from_zero(times_of_day(list(text))), None)
    if is_span(first):
        return Times(_from_zero(_spans(text)), None)
    parsed, order = _dates(name, text)
    known = parsed.notna().to_numpy()
    if not first or known.sum() < 0.9 * text.notna().sum():
        raise UsageError(f"no times in column {name}: {first!r}; name the column with --time COL")
    epoch = np.full(len(parsed), np.nan)
    epoch[known] = parsed[known].astype("int64").to_numpy() / 1e9
    return replace(_since(epoch), order=order)


def with_whole_dates(part: pd.DataFrame, time_name: str | None) -> pd.DataFrame:
    """Return a table with the day and the time of day in one column, where two columns have them.

    Its name is both of theirs; ``time_name`` where that is the column of times the user has named.
    """
    day, clock = _first_of(part, _DAYS, _DAY), _first_of(part, _CLOCKS, _TIME_OF_DAY)
    if day is None or clock is None or time_name not in (None, clock):
        return part
    cells = part[day].str.extract(f"({_DAY.pattern})")[0] + " " + part[clock].str.strip()
    at = list(part.columns).index(clock)
    part = part.drop(columns=[day, clock])
    part.insert(min(at, part.shape[1]), time_name or f"{day} {clock}", cells)
    return part


def _first_of(part: pd.DataFrame, words: frozenset[str], form: re.Pattern[str]) -> str | None:
    """The first column that is called by one of ``words`` and whose cells have a form."""
    for name in part.columns:
        if "_".join(words_of(str(name))) in words and part[name].dtype.kind not in "iufb":
            cells = part[name].dropna()
            if len(cells) and form.match(str(cells.iloc[0])):
                return str(name)
    return None


def _dates(name: str, text: pd.Series[Any]) -> tuple[pd.Series[Any], str]:
    """Dates as moments, and the order of day and month that all of them were read in."""
    found = [match for cell in text.dropna() if (match := _DAY_MONTH.match(cell))]
    if len(found) < max(0.9 * text.notna().sum(), 1):
        return _moments(text), ""
    day_first = next((match for match in found if int(match[1]) > 12), None)
    month_first = next((match for match in found if int(match[3]) > 12), None)
    if day_first and month_first:
        raise UsageError(
            f"dates in two orders in column {name}: {day_first[0]} and {month_first[0]}; write "
            "them as 2025-11-24"
        )
    if day_first or (found[0][2] == "." and not month_first):
        return _moments(_ordered(text, 1, 3)), "day first"
    parsed = _moments(_ordered(text, 3, 1))
    if not month_first:
        # Both orders fit every date; in the wrong one the step of a day is that of a month.
        other = _moments(_ordered(text, 1, 3))
        if _way(other) < _way(parsed):
            return other, "day first"
    return parsed, "month first"


def _ordered(text: pd.Series[Any], day: int, month: int) -> pd.Series[Any]:
    """Dates of figures in the order of ISO 8601, given where their day and month stand."""

    def iso(match: re.Match[str]) -> str:
        year = match[4] if len(match[4]) == 4 else f"20{match[4]}"
        return f"{year}-{match[month]:0>2}-{match[day]:0>2}"

    return text.str.replace(_DAY_MONTH, iso, regex=True)


def _moments(text: pd.Series[Any]) -> pd.Series[Any]:
    import pandas as pd

    text = text.str.replace(" @ ", " ")  # Kibana
    for form in ("ISO8601", "mixed"):
        try:
            parsed = pd.to_datetime(text, format=form, utc=True, errors="coerce")
            parsed = parsed.dt.as_unit("ns")
        except (ValueError, TypeError, OverflowError):
            continue
        if parsed.notna().sum() >= 0.9 * text.notna().sum():
            return parsed
    return pd.Series(pd.NaT, index=text.index, dtype="datetime64[ns, UTC]")


def _way(moments: pd.Series[Any]) -> float:
    """Seconds that the rows go forth and back, together."""
    return float(moments.diff().dt.total_seconds().abs().sum())


def _from_figures(name: str, figures: Floats) -> Times:
    scale = epoch_scale(figures)
    if scale is not None:
        return _since(figures * scale)
    if _may_be_serial_days(name, figures):
        return _from_days(name, figures)
    words = words_of(name)
    unit = next((_PASSED[word] for word in reversed(words) if word in _PASSED), 1.0)
    return Times(_from_zero(figures * unit), None)


def _may_be_serial_days(name: str, figures: Floats) -> bool:
    """Whether figures may be a spreadsheet's days, by their range and by what the column is called.

    A column of times that says no unit may as well be a clock in seconds, hours after it began:
    whole figures are that, and a column of dates is not.
    """
    words = set(words_of(name))
    known = figures[np.isfinite(figures)]
    least, end = _SERIAL_DAYS
    in_range = len(known) > 0 and least <= known.min() and known.max() < end
    if not in_range or not words & _MOMENT_WORDS or words & _UNIT_WORDS:
        return False
    return bool(words & _DATED) or bool((known % 1).any())


def _from_days(name: str, figures: Floats) -> Times:
    """Read a spreadsheet's days; the same figures as seconds, or UsageError, where they are none.

    Days are of a moment that a clock shows, as far as their decimals tell: in whole minutes where
    they are hours apart, as looks a tenth of a second apart would be, or have few decimals; else in
    whole seconds or milliseconds. Figures that are more than a day apart, as days, are seconds.
    """
    known = figures[np.isfinite(figures)]
    is_date = bool(_DATED & set(words_of(name)))
    # Of all rows: those of several processes at one time are no steps.
    usual = np.ptp(known) / max(len(np.unique(known)) - 1, 1)
    if not is_date and usual >= 1:
        return Times(_from_zero(figures), None, taken_as=f"{name} in seconds")
    decimals = next((n for n in range(12) if np.allclose(np.round(known, n), known, 0, 1e-11)), 12)
    step = 1e-3 if decimals >= _MILLISECOND_DECIMALS else 1.0
    if decimals < _SECOND_DECIMALS or usual > _CLOSE_DAYS:
        step = 60.0
    epoch = (figures - _EPOCH_DAY) * _DAY_SECONDS
    shown = np.round(epoch / step) * step
    rounded = _DAY_SECONDS / 2 * 10.0**-decimals + _DAY_SECONDS * 1e-11
    on_clock = (np.abs(epoch - shown) <= rounded) & (is_date or rounded < step / 2)
    if not is_date and on_clock[np.isfinite(epoch)].mean() < 0.9:
        raise UsageError(
            f"days of a spreadsheet, or seconds, in column {name}: {known[0]:.10g}; call it "
            "time_seconds for seconds, or write dates as 2025-11-24 10:00:00"
        )
    taken = f"{name} in days of a spreadsheet (call it time_seconds if it is in seconds)"
    return replace(_since(np.where(on_clock, shown, epoch)), taken_as=taken)


def is_span(text: str) -> bool:
    """Return whether a text is a span of time as pandas and Python write them.

    >>> is_span("0 days 00:01:00"), is_span("1 day, 0:01:00.5"), is_span("00:01:00")
    (True, True, False)
    """
    return _SPAN.fullmatch(text) is not None


def _spans(text: pd.Series[Any]) -> Floats:
    """Seconds of spans of time."""
    import pandas as pd

    # Python writes a comma behind the days.
    spans = pd.to_timedelta(text.str.replace(",", ""), errors="coerce")
    return np.asarray(spans.dt.total_seconds(), np.float64)


def _from_zero(seconds: Floats) -> Floats:
    finite = seconds[np.isfinite(seconds)]
    return seconds - finite[0] if len(finite) else seconds


def _since(epoch: Floats) -> Times:
    epoch, put_back = clock_put_back(epoch)
    first = float(np.nanmin(epoch))
    return Times(epoch - first, first, put_back_seconds=put_back)


def times_of_day(texts: list[Any]) -> Floats:
    """Return seconds from times of day ("23:59:50"), one day more whenever they fall by hours."""
    seconds = np.full(len(texts), np.nan)
    day, last = 0.0, 0.0
    for row, text in enumerate(texts):
        match = _TIME_OF_DAY.fullmatch(str(text))
        if match is None:
            continue
        hour = int(match[1]) % 12 + 12 * (match[4].lower() == "pm") if match[4] else int(match[1])
        value = hour * 3600 + int(match[2]) * 60 + float((match[3] or "0").replace(",", "."))
        # A clock that is set, or an hour of winter time, is no new day.
        if value + day < last - _DAY_SECONDS / 4:
            day += _DAY_SECONDS
        last = max(last, value + day)
        seconds[row] = value + day
    return seconds
