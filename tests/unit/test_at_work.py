"""A rest that was only seen while nothing was asked for: who told of the work says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import synthetic as s

from leaklab.analysis.idle import busy_count, worked_count
from leaklab.verdict.at_work import judge_at_work
from leaklab.verdict.judge import judge

BUSY = 20


def use(count: int) -> Any:
    """Percent of a processor at each second: 4 to 8 of work; then a tick of the clock at times."""
    idle = np.where(np.arange(count) % 7 == 0, 1.0, 0.0)
    return np.where(
        np.arange(count) < BUSY, 4.0 + np.round(4 * np.random.default_rng(5).random(count)), idle
    )


def opened(count: int, *, full_at: int = BUSY) -> Any:
    return 20.0 + 12.0 * np.minimum(np.arange(count), min(full_at, BUSY))


@pytest.mark.parametrize("count", [60, 300], ids=["a third is work", "hardly any is work"])
def test_what_rests_since_the_work_has_ended_is_not_bounded(count: int) -> None:
    seconds, percent = np.arange(float(count)), use(count)
    cpu = np.cumsum(percent / 100)
    followed = judge_at_work("fd_count", seconds, opened(count), cpu)
    assert followed.verdict != "bounded"
    assert followed.rate_high > 1
    told: dict[str, Any] = {"command": {"kind": "watched"}}
    data = s.run(
        fd_count=opened(count),
        gauge__cpu_percent=percent,
        marks=False,
        seconds_per_point=1.0,
        meta=told,
    )
    stored = judge(data).resource("fd_count")
    assert stored is not None
    assert stored.verdict != "bounded"
    if count == 300:
        assert stored.verdict == "inconclusive"
        for entry in (followed, stored):
            assert "but it has hardly worked since 280 seconds" in entry.reason
            assert "look again once it does" in entry.reason


@pytest.mark.parametrize("full_at", [0, 4], ids=["still", "full while it worked"])
def test_what_rests_while_there_is_work_stays_bounded(full_at: int) -> None:
    count = 300
    seconds, values = np.arange(float(count)), opened(count, full_at=full_at)
    for percent in (use(count), np.full(count, 6.0), np.zeros(count)):
        entry = judge_at_work("fd_count", seconds, values, np.cumsum(percent / 100))
        assert entry.verdict == "bounded", entry.reason


def test_one_tick_of_the_clock_now_and_then_is_no_work() -> None:
    for count in (60, 300):
        assert worked_count(np.arange(count), np.arange(float(count)), use(count)) == BUSY
    assert busy_count(np.arange(60), np.arange(60.0), use(60)) == BUSY
    ticks = np.where(np.arange(300) % 7 == 0, 1.0, 0.0)
    assert worked_count(np.arange(300), np.arange(300.0), ticks) == 300


def test_a_start_is_no_work_that_says_what_is_idle() -> None:
    percent = np.where(np.arange(300) < 5, 100.0, 4.0)
    assert worked_count(np.arange(300), np.arange(300.0), percent) == 300
