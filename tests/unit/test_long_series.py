"""Long series: restarts joined by age, the daily course taken out, an idle end cut off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import leaklab as ll
from leaklab.analysis.falls import falls_of
from leaklab.analysis.idle import busy_count
from leaklab.analysis.long_series import (
    DAY_SECONDS,
    joined_by_age,
    lone_series,
    long_series,
    recurring,
    unseen_course,
)
from leaklab.importers.members import members
from leaklab.importers.reading import Reading
from leaklab.importers.run import in_memory, run_meta
from leaklab.store import RunData
from leaklab.verdict.imported import _of_days, judge_long, with_cautions
from leaklab.verdict.judge import judge
from leaklab.verdict.time_left import limit_text

EVIDENCE = Path(__file__).parents[1] / "evidence"
MIB = float(1 << 20)


def clock(days: float) -> Any:
    return np.arange(0, days * DAY_SECONDS, 120.0)


def of_day(seconds: Any, range_: float) -> Any:
    return range_ / 2 * np.sin(2 * np.pi * (seconds / DAY_SECONDS + 0.3))


def imported(seconds: Any, mib: Any, life: Any = None) -> RunData:
    reading = Reading("x", "x", members(seconds, {"rss_bytes": mib * MIB}, life=life))
    return in_memory(reading, run_meta(reading, "x", None, None))


def noise(count: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(0, 3, count)


@pytest.mark.parametrize("days", [3, 7])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_growth_below_a_daily_course_is_seen_from_three_days_on(days: int, seed: int) -> None:
    seconds = clock(days)
    course = 400 + of_day(seconds, 90) + noise(len(seconds), seed)
    healthy = judge(imported(seconds, course)).verdict
    assert healthy == "bounded" or (days == 3 and healthy == "inconclusive")
    entry = judge(imported(seconds, course + 12 * seconds / DAY_SECONDS)).resources[0]
    assert entry.verdict == "leak"
    assert entry.rate * DAY_SECONDS == pytest.approx(12 * MIB, rel=0.15)
    assert "beyond the daily course (±4" in entry.reason


def test_no_course_is_found_where_none_comes_again() -> None:
    seconds = clock(5)
    for values in (
        noise(len(seconds)),
        seconds / DAY_SECONDS,
        80 * ((seconds % 18_000) / 18_000),
        np.where(seconds > 2.5 * DAY_SECONDS, 50.0, 0.0),
        np.full(len(seconds), 7.0),
    ):
        assert recurring(seconds, values, DAY_SECONDS) is None
    known = of_day(seconds, 20)
    found = recurring(seconds, known + seconds / DAY_SECONDS + noise(len(seconds)), DAY_SECONDS)
    assert found is not None
    assert np.abs(found - known).max() < 1.5
    assert recurring(clock(2), of_day(clock(2), 20), DAY_SECONDS) is None


@pytest.mark.parametrize("days", [2, 7])
def test_a_process_that_is_killed_at_its_limit_leaks(days: int) -> None:
    seconds = clock(days)
    age = seconds % (31 * 3600.0)
    values = 300 + 724 * age / (31 * 3600.0) + noise(len(seconds))
    whole = judge(imported(seconds, values))
    known = judge(imported(seconds, values, life=seconds // (31 * 3600.0)))
    assert known.verdict == "leak"
    assert known.resources[0].rate == pytest.approx(724 * MIB / (31 * 3600.0), rel=0.05)
    assert days == 2 or whole.verdict != "leak"  # what a guess would have had to find


def test_warm_up_after_each_restart_is_no_leak() -> None:
    seconds = clock(6)
    age = seconds % DAY_SECONDS
    values = 300 + 80 * (1 - np.exp(-age / 3600)) + noise(len(seconds))
    verdict = judge(imported(seconds, values, life=seconds // DAY_SECONDS))
    assert verdict.verdict == "bounded"


def test_lives_are_joined_by_their_changes() -> None:
    long = (np.arange(0.0, 80, 10), np.arange(100.0, 180, 10))
    short = (np.array([90.0, 100]), np.array([500.0, 520]))
    age, values = joined_by_age([long, short])
    assert age.tolist() == list(range(0, 80, 10))
    # The mean of the two starts, and no step where the short one ends.
    assert values.tolist() == [300, 315, 325, 335, 345, 355, 365, 375]
    # Ages that one of several alone has reached are left out.
    age, values = joined_by_age([long, long, (long[0][:5], long[1][:5]), (long[0], long[1] + 7)])
    assert len(age) == 8
    age, values = joined_by_age([long, (long[0][:5], long[1][:5])])
    assert age.tolist() == [0, 10, 20, 30, 40]


def test_processes_beside_each_other_are_summed_not_joined() -> None:
    seconds = np.repeat(np.arange(0.0, 600, 10), 2)
    data = imported(seconds, np.full(120, 10.0), life=np.tile([1, 2], 60))
    series = long_series(data, "rss_bytes")
    assert series["value"].iloc[-1] == 20 * MIB
    assert series.attrs["without"] == []


def test_an_idle_end_is_told_from_a_pause() -> None:
    seconds = np.arange(0.0, 1000, 10)
    busy = np.where(seconds < 700, 80.0, 0.5)
    assert busy_count(seconds, seconds, busy) == 70
    assert busy_count(seconds, seconds, np.full(100, 80.0)) == 100
    pauses = np.where(seconds % 500 < 200, 80.0, 0.5)  # it ends in one of its pauses
    assert busy_count(seconds, seconds, pauses) == 100
    assert busy_count(seconds, np.empty(0), np.empty(0)) == 100


@pytest.mark.parametrize("days", [1, 2])
@pytest.mark.parametrize("growth", [0, 12])
def test_a_course_that_was_not_seen_three_times_decides_nothing(days: int, growth: int) -> None:
    seconds = clock(days)
    values = 400 + of_day(seconds, 90) + growth * seconds / DAY_SECONDS + noise(len(seconds))
    entry = judge(imported(seconds, values)).resources[0]
    assert entry.verdict == "inconclusive"
    assert "moves with the time of day (±4" in entry.reason
    assert entry.more_x == pytest.approx((3 - days) * DAY_SECONDS, rel=0.05)


def test_growth_far_beyond_a_course_is_seen_before() -> None:
    seconds = clock(2)
    values = 400 + of_day(seconds, 20) + 300 * seconds / DAY_SECONDS + noise(len(seconds))
    assert judge(imported(seconds, values)).verdict == "leak"


def test_a_course_is_no_sawtooth_no_nightly_job_and_no_line() -> None:
    seconds = clock(2)
    for values in (
        80 * ((seconds % 18_000) / 18_000),
        150.0 * (seconds % DAY_SECONDS < 5400),
        40 * seconds / DAY_SECONDS,
    ):
        assert unseen_course([(seconds, values)], DAY_SECONDS) == (0.0, 0.0)
    seen, missing = unseen_course([(seconds, of_day(seconds, 20))], DAY_SECONDS)
    assert (seen, missing) == (pytest.approx(20, rel=0.01), pytest.approx(DAY_SECONDS))
    assert unseen_course([(clock(3), of_day(clock(3), 20))], DAY_SECONDS) == (0.0, 0.0)
    # Of two lives each has its level; the time of day is one.
    halves = [
        (part, of_day(part, 20) + level)
        for part, level in ((seconds[:700], 0), (seconds[700:], 50))
    ]
    assert unseen_course(halves, DAY_SECONDS)[0] == pytest.approx(20, rel=0.01)


@pytest.mark.parametrize("growth", [0, 20])
def test_teeth_of_a_day_are_bounded_where_growth_would_have_shown(growth: int) -> None:
    seconds = clock(1)
    teeth = 400 + 80 * ((seconds % 18_000) / 18_000) + growth * seconds / DAY_SECONDS
    found = judge(imported(seconds, teeth + noise(len(seconds)))).resources[0]
    assert found.verdict == ("inconclusive" if growth else "bounded")
    flat = judge(imported(seconds, 400 + noise(len(seconds)) / 10)).resources[0]
    assert flat.verdict == "bounded"


def test_what_may_hide_much_is_not_bounded() -> None:
    seconds = clock(1)
    data = imported(seconds, 400 + noise(len(seconds)))
    series = long_series(data, "rss_bytes")
    bounded = replace(judge_long(series), verdict="bounded", excluded=30 * MIB / DAY_SECONDS)
    assert _of_days(bounded, series).verdict == "bounded"
    hidden = _of_days(replace(bounded, excluded=50 * MIB / DAY_SECONDS), series)
    assert hidden.verdict == "inconclusive"
    assert "growth of up to 2.08 MiB per hour would not have shown" in hidden.reason


def test_a_load_of_a_minute_slows_down() -> None:
    run = ll.read(EVIDENCE / "psrecord_uvicorn.log")
    entry = run.verdict().resources[0]
    assert entry.verdict == "inconclusive"
    assert "it slows down; record 71" in entry.reason


@pytest.mark.parametrize(("low", "verdict"), [(-1.0, "inconclusive"), (1.0, "leak")])
def test_growth_whose_interval_holds_zero_proves_no_leak(low: float, verdict: str) -> None:
    seconds = np.arange(0.0, 300, 5)
    data = imported(seconds, 100 + seconds)
    grown = replace(judge(data).resources[0], rate_low=low)
    assert grown.verdict == "leak"
    (entry,) = with_cautions(data, [grown])
    assert entry.verdict == verdict
    assert ("the interval holds 0; record" in entry.reason) == (entry.more_x > 0) == (low < 0)


@pytest.mark.parametrize("hours", [6, 12, 20])
def test_what_a_wave_of_a_day_explains_as_well_as_a_line_is_no_leak(hours: int) -> None:
    seconds = clock(hours / 24)
    for begin in np.arange(0, 24, 4):
        hour = (begin + seconds / 3600) % 24
        for course in (
            80 * np.sin(2 * np.pi * hour / 24),
            160 * np.clip(np.sin(2 * np.pi * (hour - 6) / 24), 0, 1),
        ):
            values = (500 + course + noise(len(seconds))) * MIB
            assert ll.judge_series(seconds, values).verdict != "leak", (begin, course.max())
    line = 500 + 100 * seconds / seconds[-1] + noise(len(seconds))
    assert ll.judge_series(seconds, line * MIB).verdict == "leak"
    rising = 500 + 80 * np.sin(2 * np.pi * (seconds / DAY_SECONDS - hours / 48))
    said = judge(imported(seconds, rising + noise(len(seconds))))
    assert "may move with the time of day" in said.resources[0].reason


def test_a_series_is_judged_as_the_same_figures_of_a_file_are() -> None:
    for days, growth in ((0.5, 30), (1, 30), (3, 12), (7, 0)):
        seconds = clock(days)
        values = 400 + of_day(seconds, 90) + growth * seconds / DAY_SECONDS + noise(len(seconds))
        file = judge(imported(seconds, values)).resources[0]
        said = ll.judge_series(seconds, values * MIB)
        # Of a file the end of the work may be cut off, and with it a tooth.
        assert said.verdict == file.verdict, (said.reason, file.reason)
        assert ("time of day" in said.reason) == ("time of day" in file.reason)


@pytest.mark.parametrize("seed", range(4))
def test_a_floor_that_rises_below_a_ceiling_is_not_bounded(seed: int) -> None:
    """Garbage is collected where the heap is full: peaks stand still, what is in use rises."""
    random = np.random.default_rng(seed)
    seconds = np.arange(0, 7 * DAY_SECONDS, 60.0)
    rises = 70 * seconds / DAY_SECONDS

    def collected_at_900(floor: Any) -> Any:
        values, level = np.empty(len(seconds)), 300.0
        for at, low in enumerate(floor):
            level += random.uniform(8, 24)
            if level > 900:
                level = low + abs(random.normal(0, 5))
            values[at] = level
        return values

    found = judge(imported(seconds, collected_at_900(300 + rises))).resources[0]
    assert found.verdict == "inconclusive"
    assert "stands still as a whole, but its lowest figures grew by" in found.reason
    assert found.rate * DAY_SECONDS == pytest.approx(70 * MIB, rel=0.05)
    still = judge(imported(seconds, collected_at_900(np.full(len(seconds), 300.0)))).resources[0]
    assert still.verdict == "bounded"


@pytest.mark.parametrize(("hours", "mib_an_hour"), [(6, 20), (24, 4)])
def test_restarts_by_the_clock_that_nobody_tells_are_not_called_bounded(
    hours: int, mib_an_hour: float
) -> None:
    seconds = clock(4)
    values = 200 + mib_an_hour * (seconds % (hours * 3600)) / 3600 + noise(len(seconds)) / 3
    entry = ll.judge_series(seconds, values * MIB)
    assert entry.verdict == "inconclusive"
    assert f"fell {96 // hours - 1} times by about" in entry.reason
    falls = lone_series(seconds, values * MIB, name="rss_bytes").attrs["falls"]
    assert falls.pace * 3600 == pytest.approx(mib_an_hour * MIB, rel=0.02)
    assert judge(imported(seconds, values)).verdict == "inconclusive"
    # Where a pid says that the process is the same, it has emptied something.
    told = imported(seconds, values, life=np.full(len(seconds), 77))
    assert "if these are restarts" not in judge(told).resources[0].reason


@pytest.mark.parametrize("shape", ["waves", "office hours", "warm-up each day", "nightly job"])
def test_falls_of_a_daily_course_are_no_restarts(shape: str) -> None:
    seconds = clock(5)
    of_today = seconds % DAY_SECONDS
    course = {
        "waves": np.sin(2 * np.pi * seconds / DAY_SECONDS),
        "office hours": (np.abs(of_today / DAY_SECONDS - 0.5) < 0.2) * 1.0,
        "warm-up each day": 1 - np.exp(-of_today / 3600),
        "nightly job": (of_today < 5400) * 1.0,
    }[shape]
    series = lone_series(seconds, (300 + 90 * course + noise(len(seconds))) * MIB, name="rss_bytes")
    assert series.attrs["course"] > 0
    assert series.attrs["falls"] is None


def test_falls_at_no_regular_times_are_those_of_workers_by_their_work() -> None:
    rng = np.random.default_rng(3)
    seconds = clock(4)
    begins = np.cumsum(rng.uniform(2, 8, 60) * 3600)
    age = seconds - np.append(0, begins)[np.searchsorted(begins, seconds, side="right")]
    assert falls_of(seconds, age, 3600.0) is None
    assert falls_of(seconds, seconds % 18_000, 3600.0) is not None


@pytest.mark.parametrize(
    ("rise", "verdict"), [("leaks", "inconclusive"), ("stands still", "bounded")]
)
def test_lives_of_a_short_file_that_warm_up_anew_are_not_called_bounded(
    rise: str, verdict: str
) -> None:
    minutes = np.arange(1000.0)
    age = minutes % 100
    values = 150 + 100 * (1 - np.exp(-age / 5)) + (1.5 * age if rise == "leaks" else 0.0)
    values = values + noise(len(minutes)) / 3
    entry = judge(imported(60 * minutes, values)).resources[0]
    assert entry.verdict == verdict
    if rise == "leaks":
        assert "fell 9 times by about 249 MiB" in entry.reason
        assert "give its pid or start time" in entry.reason
        lives = imported(60 * minutes, values, life=100 + minutes // 100)
        assert judge(lives).verdict == "leak"
        lives.meta["limits"] = {"memory_bytes": 2048 * MIB}
        never = limit_text(judge(lives), lives)
        assert never is not None
        assert "would reach 2 GiB (--limit) after" in never
        assert never.endswith(", but the longest life has lasted 99 min: it is replaced before")
        # Within a life it may well get there.
        lives.meta["limits"] = {"memory_bytes": 450 * MIB}
        soon = limit_text(judge(lives), lives)
        assert soon is not None
        assert "rss_bytes reaches 450 MiB" in soon
        assert "life" not in soon


def test_what_a_collector_clears_in_a_short_file_is_none_of_restarts() -> None:
    minutes = np.arange(1000.0)
    teeth = (100 + 200 * (minutes % 100) / 100 + noise(len(minutes)) / 3) * MIB
    for name in ("rss_bytes", "gauge:used_bytes"):
        assert lone_series(60 * minutes, teeth, name=name).attrs["falls"] is None


@pytest.mark.parametrize("seed", range(3))
def test_a_warm_up_is_no_course_of_the_day(seed: int) -> None:
    seconds = np.arange(0, 10 * 3600, 60.0)
    still = 150 + 100 * (1 - np.exp(-seconds / 300)) + noise(len(seconds), seed) / 3
    assert "time of day" not in judge(imported(seconds, still)).reason
    assert judge(imported(seconds, still + seconds / 3600 * 10)).verdict == "leak"
    # What comes with the time of day is there after it, too.
    both = still + of_day(seconds, 90)
    assert "time of day" in judge(imported(seconds, both)).reason
