"""The verdict on series of known truth: seeds that were not used while the method was made."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import leaklab as ll
from leaklab.verdict import shapes

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import series as bench

COUNT = 500
FIRST = 5_000_000


def test_the_bank_is_judged_as_well_as_measured() -> None:
    found = bench.shares(bench.scored(FIRST, COUNT))
    share = {name: hits / count for name, (hits, count) in found.items()}
    # Measured on 4,000 others; here is room for what chance does to 500.
    assert share["false alarms"] <= 0.02, found
    assert share["leaks called bounded"] <= 0.04, found
    assert share["leaks found"] >= 0.75, found
    assert share["found, even looks"] >= 0.82, found
    assert share["interval covers"] >= 0.9, found
    assert share["undecidable decided"] <= 0.6, found
    assert share["bounded undecided"] <= 0.28, found


def test_the_same_seed_is_the_same_series() -> None:
    one, two = bench.bank.make(7), bench.bank.make(7)
    assert np.array_equal(one.y, two.y)
    assert one.family == two.family


@pytest.mark.parametrize(
    ("x", "y", "text"),
    [
        ([1, 2], [1], "x and y differ"),
        ([1, 3, 2], [1, 2, 3], "x decreases"),
        (["a"], [1], "not numbers"),
    ],
)
def test_what_cannot_be_a_series_is_said_so(x: list, y: list, text: str) -> None:
    with pytest.raises(ll.UsageError, match=text):
        ll.judge_series(x, y)


@pytest.mark.parametrize("gap_hours", [16, 48, 24 * 60])
@pytest.mark.parametrize("after", [3, 200, 397])
@pytest.mark.parametrize("rate", [0.0, 20.0, 2000.0])
@pytest.mark.parametrize("unit", ["second", "iteration"])
def test_of_two_bursts_far_apart_nothing_is_claimed(
    gap_hours: int, after: int, rate: float, unit: str
) -> None:
    x = np.arange(400.0) * 30
    y = 2e8 + rate * x + np.random.default_rng(1).normal(0, 3e5, len(x))
    x[after:] += 3600 * gap_hours
    assert ll.judge_series(x, y, unit=unit).verdict == "inconclusive"


def test_an_unknown_unit_is_said_so() -> None:
    with pytest.raises(ll.UsageError, match="unknown unit"):
        ll.judge_series([1, 2], [1, 2], unit="parsec")


def test_an_interval_holds_and_what_is_excluded_is_said() -> None:
    x = np.arange(400.0)
    noise = np.random.default_rng(3).normal(0, 3e4, len(x))
    leak = ll.judge_series(x, 5e7 + 5e4 * x + noise)
    assert leak.verdict == "leak"
    assert leak.rate_low <= 5e4 <= leak.rate_high
    step = ll.judge_series(x, 5e7 + 8e6 * (x >= 120) + noise)
    assert step.verdict == "bounded"
    assert "a step at 30 % of the run" in step.reason
    assert "at most" in step.reason
    assert 0 < step.excluded < 5e3


def test_a_step_that_came_just_before_the_end_is_undecided() -> None:
    x = np.arange(400.0)
    said = ll.judge_series(x, 5e7 + 8e6 * (x >= 350))
    assert said.verdict == "inconclusive"
    assert said.more_x > 0


def test_nothing_is_claimed_across_a_blind_stretch() -> None:
    x = np.append(np.arange(100.0), np.arange(200.0, 210.0))
    said = ll.judge_series(x, 5e7 + 5e4 * x)
    assert said.verdict == "inconclusive"
    assert "not looked at" in said.reason


def test_the_usual_shapes_are_told_and_seldom_undecided() -> None:
    said = shapes.called_leaks(200, 12)[["leaklab", "leaklab undecided"]]
    healthy, leaking = said.loc["healthy"], said.loc["leak"]
    assert healthy["leaklab"].max() <= 0.1, healthy
    assert leaking["leaklab"].min() >= 0.7, leaking
    assert healthy["leaklab undecided"].mean() <= 0.12, healthy
