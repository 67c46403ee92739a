"""A series that is handed over in Python: where its looks are, as seconds, and its figures.

numpy gives the count of whatever unit a column of datetimes has, which is seldom the second; and
what it cannot read it refuses in words of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from leaklab.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# From this on a plain figure is an epoch, in seconds, milli-, micro- or nanoseconds.
_EPOCHS = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3), (5e8, 1.0))
_WAY_OUT = "give numbers, datetimes or timedeltas"
# Several figures at one place are looked into where they stand at this share of all places, and at
# so many places in a row.
_MANY_SHARE = 0.1
_LEAST_ROWS = 3
# Figures that come again from place to place move by less than this share of what is between them.
_APART_SHARE = 0.5
# By so much a clock is put back at the end of summer time; on Lord Howe Island by half an hour.
_PUT_BACK_SECONDS = (3600.0, 1800.0)


@dataclass(frozen=True)
class Places:
    """Where the looks are, NaN where it is not known; ``is_epoch``: as seconds since 1970."""

    values: Floats
    is_epoch: bool = False

    def started(self) -> float:
        """Return the first place; NaN without any."""
        known = self.values[np.isfinite(self.values)]
        return float(known.min()) if len(known) else float("nan")


def places(given: Any, what: str, unit: str) -> Places:
    """Read where the looks are. Raises UsageError, naming them by ``what``, for what is no place.

    Datetimes and dates (those without a zone as UTC) and timedeltas become seconds, whatever their
    own unit, as does a number that can only be an epoch. Iterations and requests are plain numbers.
    """
    values = _array(given, what, _WAY_OUT)
    kind = _kind(values)
    if unit != "second" and kind:
        raise UsageError(f"{what} are {kind} where unit is {unit}; give numbers, or unit second")
    if kind == "datetimes":
        return Places(_epochs(values, what), is_epoch=True)
    if kind == "timedeltas":
        return Places(_durations(values, what))
    numbers = _floats(values, what, _WAY_OUT)
    scale = epoch_scale(numbers) if unit == "second" else None
    return Places(numbers) if scale is None else Places(numbers * scale, is_epoch=True)


def epoch_scale(numbers: Floats) -> float | None:
    """Return the seconds that one of these numbers stands for; None where they are no epoch."""
    known = numbers[np.isfinite(numbers)]
    middle = float(np.median(known)) if len(known) else 0.0
    return next((scale for least, scale in _EPOCHS if middle >= least), None)


def clock_put_back(seconds: Floats) -> tuple[Floats, float]:
    """Return times that go on where their clock was put back, and by how much.

    That is so at the end of summer time, and where they step back once, in the order in which they
    were written, to so long before the next look. Other times are returned as they are, with 0.

    >>> clock_put_back(np.array([0.0, 1200.0, 2400.0, 3600.0, 1200.0, 2400.0, 3600.0, 4800.0]))
    (array([   0., 1200., 2400., 3600., 4800., 6000., 7200., 8400.]), 3600.0)
    """
    rows = np.flatnonzero(np.isfinite(seconds))
    steps = np.diff(seconds[rows])
    back = np.flatnonzero(steps < 0)
    if len(back) != 1 or not (steps > 0).any():
        return seconds, 0.0
    usual = float(np.median(steps[steps > 0]))
    put_back = usual - float(steps[back[0]])
    for by in _PUT_BACK_SECONDS:
        if abs(put_back - by) <= usual / 2:
            gone_on = seconds.copy()
            gone_on[rows[back[0] + 1] :] += by
            return gone_on, by
    return seconds, 0.0


@dataclass(frozen=True)
class AtOnce:
    """Several courses in one series: how many figures there are at how many of its places."""

    figures: int
    several: int
    places: int

    def where(self, place: str, places: str) -> str:
        """Return at which places they are, in words."""
        if self.several == self.places:
            return f"each {place}"
        return f"{self.several:,} of {self.places:,} {places}"


def figures_at_once(x: Floats, y: Floats) -> AtOnce | None:
    """Return how many courses a series holds at once, None where it is one.

    A clock of whole seconds says one time for several looks at one process, and what moves between
    these moves as much from one time to the next. Two processes are further apart than that.

    >>> figures_at_once(np.repeat(np.arange(9.0), 2), np.tile([200.0, 300.0], 9))
    AtOnce(figures=2, several=9, places=9)
    >>> figures_at_once(np.repeat(np.arange(9.0), 2), np.arange(18.0))
    """
    order = np.lexsort((y, x))
    y = y[order]
    _, begins, counts = np.unique(x[order], return_index=True, return_counts=True)
    several = int((counts > 1).sum())
    if not several or several < _MANY_SHARE * len(counts):
        return None
    alike = np.flatnonzero((counts[:-1] > 1) & (counts[:-1] == counts[1:]))
    if len(alike) < _LEAST_ROWS:
        return None
    between, onwards = [], []
    for count in np.unique(counts[alike]).tolist():
        rows = begins[alike[counts[alike] == count]][:, None] + np.arange(count)
        between.append(np.diff(y[rows], axis=1).mean(axis=1))
        onwards.append(np.abs(y[rows + count] - y[rows]).mean(axis=1))
    apart = float(np.median(np.concatenate(between)))
    moved = float(np.median(np.concatenate(onwards)))
    if moved >= _APART_SHARE * apart:
        return None
    return AtOnce(int(np.median(counts[alike])), several, len(counts))


def figures(given: Any, what: str) -> Floats:
    """Read figures, NaN where there is none; UsageError for what is none."""
    way_out = "give figures, NaN where there is none"
    values = _array(given, what, way_out)
    if kind := _kind(values):
        raise UsageError(f"not numbers in {what}: {kind}; {way_out}")
    return _floats(values, what, way_out)


def _array(given: Any, what: str, way_out: str) -> NDArray[Any]:
    try:
        return np.asarray(given if hasattr(given, "__len__") else list(given))
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"not numbers in {what}: {error}; {way_out}") from None


def _kind(values: NDArray[Any]) -> str:
    """What the places are, "" for anything that is not a time."""
    if values.dtype.kind in "Mm":
        return "datetimes" if values.dtype.kind == "M" else "timedeltas"
    first = next(_known(values), None) if values.dtype.kind == "O" else None
    if isinstance(first, timedelta | np.timedelta64):
        return "timedeltas"
    is_date = isinstance(first, date | np.datetime64) or hasattr(first, "start_time")
    return "datetimes" if is_date else ""


def _known(values: NDArray[Any]) -> Iterator[Any]:
    return (value for value in values.flat if not _is_missing(value))


def _is_missing(value: object) -> bool:
    """Whether it is None, NaN, or one of pandas' own, which may not be loaded."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and value != value


def _epochs(values: NDArray[Any], what: str) -> Floats:
    if values.dtype.kind == "M":
        since: Floats = (values - np.datetime64(0, "s")) / np.timedelta64(1, "s")
        return since
    if len({_zoned(one) for one in _known(values) if isinstance(one, datetime)}) > 1:
        raise UsageError(f"datetimes with and without a zone in {what}; give all with one, or none")
    return _each(values, _epoch, what)


def _zoned(value: Any) -> bool:
    return getattr(value, "tzinfo", None) is not None


def _epoch(value: Any) -> float:
    value = getattr(value, "start_time", value)  # a period of pandas
    if isinstance(value, np.datetime64):
        return float((value - np.datetime64(0, "s")) / np.timedelta64(1, "s"))
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    return float((value if _zoned(value) else value.replace(tzinfo=UTC)).timestamp())


def _durations(values: NDArray[Any], what: str) -> Floats:
    if values.dtype.kind == "m":
        try:
            seconds: Floats = values / np.timedelta64(1, "s")
        except TypeError:  # months, years: of no one length
            raise UsageError(f"{what} are {values.dtype}; give them in days or seconds") from None
        return seconds
    return _each(values, lambda value: float(value / np.timedelta64(1, "s")), what)


def _each(values: NDArray[Any], read: Callable[[Any], float], what: str) -> Floats:
    """Every object read, NaN for what is missing."""
    found = np.full(values.shape, np.nan)
    for at, value in np.ndenumerate(values):
        if not _is_missing(value):
            try:
                found[at] = read(value)
            except (TypeError, ValueError, AttributeError, OverflowError):
                raise UsageError(f"no time in {what}: {value!r}; {_WAY_OUT}") from None
    return found


def _floats(values: NDArray[Any], what: str, way_out: str) -> Floats:
    plain: Any = values
    if values.dtype.kind in "OU":
        plain = [None if _is_missing(value) else value for value in values.ravel().tolist()]
    try:
        return np.asarray(plain, np.float64).reshape(values.shape)
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"not numbers in {what}: {error}; {way_out}") from None
