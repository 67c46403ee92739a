"""What hides growth in a long series, taken out before it is judged: restarts, the course of the
day, and an idle end. Each only where the recording itself tells it."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from leaklab.analysis.falls import Falls, falls_of
from leaklab.analysis.idle import busy_count, cpu_of, worked_count
from leaklab.analysis.lives import replaced_lives
from leaklab.analysis.series import (
    HEAP,
    chosen_points,
    processes_of,
    resource_series,
    untraced_pass,
    work_end,
)
from leaklab.resources import CPU, is_bytes

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from leaklab.store import RunData

    Floats = NDArray[np.float64]

DAY_SECONDS = 86_400.0
WEEK_SECONDS = 7 * DAY_SECONDS
# A course is known once it was seen so many times from end to end.
LEAST_PERIODS = 3
BINS = 48
LEAST_FIGURES_A_PERIOD = 12
# The course seen in every other period must be that of the rest, or it is chance.
LEAST_AGREEMENT = 0.5
# Before that it shows as waves of a whole and of half a day that are this share of all unrest.
WAVES = (1, 2)
LEAST_WAVE_SHARE = 0.5
# A day is seen when so much of it was: its end may be cut off as that of the work.
LEAST_SEEN = 0.9
# From this share of a day on what was seen may be its course.
LEAST_PART = 0.25
_LEAST_FIGURES = 3
LONE_SHARE = 0.5


def long_series(data: RunData, name: str, *, role: str = "main") -> pd.DataFrame:
    """Return a resource of a role as it is judged; see :func:`resource_series` for the columns.

    Lives of a process that was replaced are joined by age, so that x is the age in marks or
    seconds. By time only: an end without work is cut off; what comes again every day (or week) is
    taken away.
    ``attrs``: without, what was taken out, in words; course, half the range of the daily course, 0
    where there is none; unseen, the range of a daily course that was not seen three times yet, so
    that it was not taken away, 0 for none; missing, seconds until it will have been; now, where the
    last of several lives stands, NaN for one life; falls, the `Falls` of a course that may be that
    of restarts, None where there are none or restarts are told; worked, how many points lie before
    an end of next to no work that was not cut off, None where nobody told; like, the resource whose
    material growth counts, for memory under a name of its own.
    """
    series = resource_series(data, name, role=role)
    without: list[str] = []
    course, now, unseen, missing, falls, worked = 0.0, math.nan, 0.0, 0.0, None, None
    lives = recorded_lives(data, name, role, series.attrs["unit"])
    if len(lives) > 1 and series.attrs["unit"] == "iteration":
        attrs = dict(series.attrs)
        series = _frame(*joined_by_age(lives))
        series.attrs.update(attrs)
        now = float(lives[-1][1][-1])
        without.append(f"by age over {len(lives)} lives")
    elif series.attrs["unit"] == "second" and len(series) >= _LEAST_FIGURES:
        x, y = (series[key].to_numpy(np.float64) for key in ("x", "value"))
        lives = lives or successive_lives(data, name, role)
        if len(lives) > 1:
            x, y = joined_by_age(lives)
            now = float(lives[-1][1][-1])
            without.append(f"by age over {len(lives)} lives")
        else:
            used = cpu_of(data, role) if name != CPU else (np.empty(0), np.empty(0))
            busy, worked = busy_count(x, *used), worked_count(x, *used)
            if busy < len(x):
                x, y, worked = x[:busy], y[:busy], None
                without.append("without the idle end")
        whole = y
        y, course, words = _without_courses(x, y)
        without += words
        unseen, missing = unseen_course(lives if len(lives) > 1 else [(x, y)], DAY_SECONDS)
        if len(lives) <= 1 and not _restarts_told(data, role):
            falls = _falls(name, x, whole, 2 * course or unseen)
        if without:
            attrs = dict(series.attrs)
            series = _frame(x, y)
            series.attrs.update(attrs)
    series.attrs.update(without=without, course=course, unseen=unseen, missing=missing, now=now)
    series.attrs.update(falls=falls, worked=worked)
    if "import" in data.meta:
        series.attrs["like"] = _like(name)
    return series


def _like(name: str) -> str | None:
    """The resource whose material growth counts for figures of no recording, None for its own."""
    return "rss_bytes" if name.startswith("gauge:") and is_bytes(name) else None


def lone_series(x: Floats, y: Floats, *, name: str, unit: str = "second") -> pd.DataFrame:
    """Return figures of no run, at x, as `long_series` returns those of one process.

    By another unit than the second there is no course to take out.
    """
    without: list[str] = []
    course, unseen, missing, falls = 0.0, 0.0, 0.0, None
    if unit == "second" and len(x) >= _LEAST_FIGURES and x[-1] > x[0]:
        whole = y
        y, course, without = _without_courses(x, y)
        unseen, missing = unseen_course([(x, y)], DAY_SECONDS)
        falls = _falls(name, x, whole, 2 * course or unseen)
    series = _frame(x, y)
    series.attrs.update(name=name, unit=unit, role="main", without=without, course=course)
    series.attrs.update(unseen=unseen, missing=missing, now=math.nan, falls=falls)
    series.attrs["like"] = _like(name)
    return series


def _falls(name: str, x: Floats, y: Floats, course: float) -> Falls | None:
    """The falls of a course; without one, of a whole process' memory, which starts low alone."""
    if not course and (_like(name) or name) != "rss_bytes":
        return None
    return falls_of(x, y, course)


def _restarts_told(data: RunData, role: str) -> bool:
    """Whether a restart of the role's process would be known: by its pid, or as the file says."""
    told = data.meta.get("import")
    members = processes_of(data, role, untraced_pass(data)).values()
    return told is None or bool(told.get("restarts_told")) or any(m.get("pid") for m in members)


def _without_courses(x: Floats, y: Floats) -> tuple[Floats, float, list[str]]:
    """Values without what comes again each week or day, half its range, and words for it."""
    course, words = 0.0, []
    for period, word in ((WEEK_SECONDS, "weekly"), (DAY_SECONDS, "daily")):
        found = recurring(x, y, period)
        if found is not None:
            y = y - found
            course = max(course, float(np.ptp(found)) / 2)
            words.append(f"beyond the {word} course")
    return y, course, words


def _frame(x: Floats, y: Floats) -> pd.DataFrame:
    import pandas as pd

    missing = np.full(len(x), np.nan)
    columns = {"x": x, "time_seconds": x, "mark": missing, "value": y}
    return pd.DataFrame({**columns, "quiescent": np.zeros(len(x), bool)})


def successive_lives(data: RunData, name: str, role: str) -> list[tuple[Floats, Floats]]:
    """Return (seconds, values) of each process of a role where one followed the other.

    Only of figures from outside, where restarts were seen; empty where processes of the role ran
    beside each other, which are summed instead.
    """
    if not _from_outside(data):
        return []
    members = processes_of(data, role, untraced_pass(data))
    samples = data.samples_of(name)
    samples = samples[samples["process"].isin(list(members))]
    lives: list[tuple[Floats, Floats]] = []
    for _, rows in samples.groupby("process", sort=False):
        rows = rows[rows["value"].notna()].sort_values("time_seconds", kind="stable")
        if len(rows):
            x, y = (rows[key].to_numpy(np.float64) for key in ("time_seconds", "value"))
            lives.append((x, y))
    lives = [(x[: work_end(y)], y[: work_end(y)]) for x, y in lives]
    lives.sort(key=lambda life: float(life[0][0]))
    for earlier, later in pairwise(lives):
        if later[0][0] <= earlier[0][-1]:
            return []
    return lives


def recorded_lives(data: RunData, name: str, role: str, unit: str) -> list[tuple[Floats, Floats]]:
    """Return (marks or seconds, values) of each life of a role whose workers were replaced, in
    their order; by time of a recording only, see :func:`successive_lives`."""
    if name == HEAP or (unit == "second" and _from_outside(data)):
        return []  # the heap is told by the longest life alone
    pass_ = untraced_pass(data)
    numbers = replaced_lives(processes_of(data, role, pass_))
    if not numbers:
        return []  # of most runs; the figures are chosen for those that have some
    points, chosen_unit, _ = chosen_points(data, name, pass_, role)
    if chosen_unit != unit:
        return []
    lives = []
    for number in numbers:
        rows = points[points["process"] == number]
        x, y = (
            rows[key].to_numpy(np.float64)
            for key in ("mark" if unit == "iteration" else "time_seconds", "value")
        )
        if unit == "second":
            end = work_end(y, ends=True)
            x, y = x[:end], y[:end]
        if len(x) >= _LEAST_FIGURES:
            lives.append((x, y))
    return lives


def _from_outside(data: RunData) -> bool:
    return "import" in data.meta or data.meta.get("command", {}).get("kind") == "watched"


def joined_by_age(lives: list[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """Return one course by age: at each age the mean change of the lives that reached it.

    Changes are joined, not levels: lives that end sooner, or start higher, make no step. The first
    value is the mean of theirs; x is the age in marks or seconds, evenly spaced, up to the second
    longest life where the longest has less than half of all time to itself.
    """
    steps = np.concatenate([np.diff(seconds) for seconds, _ in lives])
    steps = steps[steps > 0]
    step = float(np.median(steps)) if len(steps) else 1.0
    courses = []
    for seconds, values in lives:
        place = (seconds - seconds[0]) / step
        grid = np.arange(round(float(place[-1])) + 1)
        courses.append(np.interp(grid, place, values))
    lengths = sorted(len(course) for course in courses)
    # Ages that one life alone has reached tell less than what several did alike, unless most of the
    # time is theirs.
    alone = lengths[-1] - lengths[-2] if len(lengths) > 1 else 0
    length = lengths[-2] if 0 < alone <= LONE_SHARE * sum(lengths) else lengths[-1]
    courses = [course[:length] for course in courses]
    change, count = np.zeros(length), np.zeros(length)
    for course in courses:
        change[1 : len(course)] += np.diff(course)
        count[1 : len(course)] += 1
    first = float(np.mean([course[0] for course in courses]))
    joined: Floats = first + np.cumsum(change / np.maximum(count, 1))
    age: Floats = step * np.arange(length, dtype=np.float64)
    return age, joined


def recurring(x: Floats, y: Floats, period: float) -> Floats | None:
    """Return the course that comes again each ``period`` seconds, at x; None where none is seen.

    From three whole periods on: the median, by time of the period, of the distance from the mean
    of the period around. It has no trend in it, so taking it away leaves a leak as it is.
    """
    if len(x) < LEAST_PERIODS * LEAST_FIGURES_A_PERIOD:
        return None
    covered = covered_seconds(x)
    if covered < (LEAST_PERIODS - 1 / BINS) * period:
        return None
    figures_a_period = len(x) * period / covered
    bins = int(min(BINS, figures_a_period / 2)) // 2 * 2
    if figures_a_period < LEAST_FIGURES_A_PERIOD or bins < 2:
        return None
    width = period / bins
    place = ((x - x[0]) / width).astype(int)
    count = np.bincount(place)
    sums = np.bincount(place, weights=y)
    seen = count > 0
    cells = np.arange(len(count))
    level = np.interp(cells, cells[seen], sums[seen] / count[seen])
    window = np.full(bins + 1, 1.0 / bins)
    window[[0, -1]] /= 2
    half = bins // 2
    distance = level[half:-half] - np.convolve(level, window, mode="valid")
    phase = cells[half:-half] % bins
    turn = cells[half:-half] // bins
    known = seen[half:-half]
    course = _by_phase(distance, phase, known, bins)
    halves = [_by_phase(distance, phase, known & (turn % 2 == odd), bins) for odd in (0, 1)]
    if course is None or halves[0] is None or halves[1] is None or not np.ptp(course):
        return None
    if min(float(np.std(part)) for part in halves if part is not None) == 0:
        return None
    if float(np.corrcoef(halves[0], halves[1])[0, 1]) < LEAST_AGREEMENT:
        return None
    course = course - course.mean()
    centre = (np.arange(bins) + 0.5) * width
    result: Floats = np.interp((x - x[0]) % period, centre, course, period=period)
    return result


def covered_seconds(x: Floats) -> float:
    """Return how long figures at x stand for: the last one for the time up to the next."""
    return float((x[-1] - x[0]) * len(x) / (len(x) - 1))


def unseen_course(lives: list[tuple[Floats, Floats]], period: float) -> tuple[float, float]:
    """Return the range of a course of ``period`` not yet seen three times, and what is missing.

    Once it was seen three times `recurring` takes it away. Before, its rise is no growth and its
    fall hides growth. lives: (seconds, values) of each life, one after the other. (0, 0) where what
    departs from a straight line is no wave of the period; where less than one period was seen, a
    wave must explain the whole at least as well as a line does. missing: seconds until it was seen
    three times.
    """
    begin = lives[0][0][0]
    covered = sum(covered_seconds(x) for x, _ in lives if len(x) > 1)
    if not LEAST_PART <= covered / period < LEAST_PERIODS - 1 / BINS:
        return 0.0, 0.0
    whole = covered >= LEAST_SEEN * period
    width = (period if whole else covered) / BINS
    cells, ages, levels, whose = [], [], [], []
    for number, (x, y) in enumerate(lives):
        cell = ((x - begin) / width).astype(int)
        place, at, count = np.unique(cell, return_inverse=True, return_counts=True)
        cells.append(place)
        ages.append(place - place[0])
        levels.append(np.bincount(at, weights=y) / count)
        whose.append(np.full(len(place), number))
    level, turn = np.concatenate(levels), 2 * np.pi * np.concatenate(cells) * width / period
    if len(level) < LEAST_FIGURES_A_PERIOD:
        return 0.0, 0.0
    each = (np.concatenate(whose)[:, None] == np.arange(len(lives))).astype(np.float64)
    line = np.column_stack([each, np.concatenate(ages)])
    waves = np.column_stack(
        [wave(k * turn) for k in (WAVES if whole else WAVES[:1]) for wave in (np.sin, np.cos)]
    )
    unrest = _rest(line, level)
    missing = LEAST_PERIODS * period - covered
    if not whole:
        alone = np.hstack([each, waves])
        rest = _rest(alone, level)
        # Per degree of freedom: a wave may be fitted by one figure more than a line.
        worse = float(rest @ rest) * (len(level) - line.shape[1]) > float(unrest @ unrest) * (
            len(level) - alone.shape[1]
        )
        return (0.0, 0.0) if worse else (float(np.ptp(level - rest)), missing)
    fitted = waves @ _fit(np.hstack([line, waves]), level)[-waves.shape[1] :]
    beyond = _rest(line, fitted)
    # Warm-ups after restarts are unrest too, and no wave.
    least = LEAST_WAVE_SHARE if len(lives) == 1 else 0.0
    if not np.ptp(unrest) or float(beyond @ unrest) < least * float(unrest @ unrest):
        return 0.0, 0.0
    return float(np.ptp(fitted)), missing


def _fit(columns: Floats, values: Floats) -> Floats:
    """The least-squares coefficients of columns."""
    return np.asarray(np.linalg.lstsq(columns, values, rcond=None)[0], np.float64)


def _rest(columns: Floats, values: Floats) -> Floats:
    """What the least-squares fit of columns leaves of values."""
    return values - columns @ _fit(columns, values)


def _by_phase(
    distance: Floats, phase: NDArray[Any], known: NDArray[np.bool_], bins: int
) -> Floats | None:
    """The median distance by time of the period; None where some of it was never seen."""
    result = np.full(bins, np.nan)
    for number in range(bins):
        rows = distance[known & (phase == number)]
        if len(rows):
            result[number] = np.median(rows)
    missing = ~np.isfinite(result)
    if missing.mean() > 1 / 4:
        return None
    where = np.arange(bins)
    filled: Floats = np.interp(where, where[~missing], result[~missing], period=bins)
    return filled
