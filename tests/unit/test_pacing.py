"""Looks are evenly spaced over any run, the last quarter as dense as the rest, at bounded cost."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from leaklab.analysis.looks import evenly, unmixed
from leaklab.probe.pacing import Pacing
from leaklab.recorder.intervals import interval_seconds
from leaklab.recorder.processes.looks import FREED_NOTHING, Looks, OldGarbage


def looked_at(
    mark_count: int, mark_seconds: float, cost_seconds: float, expected: int | None = None
) -> tuple[list[int], Pacing]:
    """Return the marks at which snapshots are taken in a run of this pace and price."""
    pacing, now, taken = Looks(0.05, 0.1, started=0.0).snapshots, 0.0, []
    for mark in range(1, mark_count + 1):
        now += mark_seconds
        if pacing.due(now, mark, expected):
            pacing.spent(cost_seconds, mark, now)
            now += cost_seconds
            taken.append(mark)
    return taken, pacing


def kept_of(taken: list[int], pacing: Pacing) -> list[int]:
    """Return the looks that are compared in the end."""
    members = {0: {"looks": {"snapshot_step": pacing.step}}}
    x = np.array(taken, float)
    kept = evenly(x, np.zeros(len(x)), members, "snapshot_step")
    return [int(mark) for mark in x[kept]]


@pytest.mark.parametrize("mark_count", [40, 150, 1_000, 7_777, 100_000])
@pytest.mark.parametrize("cost_seconds", [0.0005, 0.05, 1.0])
def test_looks_are_even_and_reach_the_end(mark_count: int, cost_seconds: float) -> None:
    taken, pacing = looked_at(mark_count, 0.01, cost_seconds)
    kept = kept_of(taken, pacing)
    steps = np.diff(kept)
    assert set(steps[1:].tolist()) == {int(pacing.step)}
    assert 10 <= len(kept) <= 257
    assert mark_count - kept[-1] < pacing.step
    late = sum(mark > 0.75 * mark_count for mark in kept)
    assert abs(late - len(kept) / 4) <= 1.5


def test_a_dear_moment_does_not_widen_the_step_for_good() -> None:
    pacing, now = Looks(0.05, 0.1, started=0.0).snapshots, 0.0
    for mark in range(1, 2001):
        now += 0.1
        if pacing.due(now, mark):
            cost_seconds = 5.0 if mark in (30, 31) else 0.002
            pacing.spent(cost_seconds, mark, now)
            now += cost_seconds
    assert pacing.step <= 2000 / 128


def test_a_long_run_costs_its_share_and_has_a_bounded_number_of_looks() -> None:
    taken, pacing = looked_at(1_000_000, mark_seconds=0.01, cost_seconds=0.05)
    assert len(taken) < 2_500
    assert len(taken) * 0.05 <= 0.1 * 1_000_000 * 0.01
    assert 128 <= len(kept_of(taken, pacing)) <= 257


def test_cheap_looks_stay_dense() -> None:
    taken, pacing = looked_at(150, mark_seconds=0.05, cost_seconds=0.002)
    assert (taken, pacing.doubled_count) == (list(range(1, 151)), 0)


def test_expensive_looks_become_few_but_enough() -> None:
    taken, pacing = looked_at(1_000, mark_seconds=0.05, cost_seconds=2.0)
    assert 10 <= len(kept_of(taken, pacing)) <= 20
    known, pacing = looked_at(1_000, mark_seconds=0.05, cost_seconds=2.0, expected=1_000)
    assert len(known) <= 30
    assert 10 <= len(kept_of(known, pacing)) <= 20


def test_without_marks_looks_are_even_in_time() -> None:
    pacing, now, taken = Looks(0.05, 0.1, started=0.0).idle_snapshots, 1.0, []
    while now < 100.0:
        if pacing.due(now, now):
            pacing.spent(0.5, now, now)
            now += 0.5
            taken.append(now)
        now += 0.1
    gaps = [later - earlier for earlier, later in itertools.pairwise(taken)]
    assert max(gaps) <= 0.1 * 100
    assert 0.5 * len(taken) <= 0.3 * 100


def test_the_time_between_samples_doubles() -> None:
    assert [interval_seconds(age) for age in (0.0, 10.0, 10.3, 1000.0)] == [0.02, 0.02, 0.04, 2.56]
    assert interval_seconds(1000.0, 0.5) == 0.5
    assert interval_seconds(10_001.0, 0.5) == 1.0


def test_only_the_first_look_of_each_step_is_kept_and_old_runs_as_they_are() -> None:
    x, process = np.array([1.0, 2, 3, 4, 8, 12, 1, 2]), np.array([0, 0, 0, 0, 0, 0, 1, 1])
    members = {0: {"looks": {"mark_step": 4, "collection_step": None}}, 1: {}}
    kept = evenly(x, process, members, "collection_step", "mark_step")
    assert kept.tolist() == [True, False, False, True, True, True, True, True]


def test_looks_with_and_without_a_collection_are_never_one_series() -> None:
    marks = np.arange(1.0, 101)
    at_mark, even = np.ones(100, bool), marks % 2 == 0
    first, second = unmixed(at_mark, even, marks)
    assert first.tolist() == even.tolist()
    assert not (first & second).any()
    # Collected at the beginning only: those do not stand for the run.
    first, _ = unmixed(at_mark, marks < 20, marks)
    assert first.tolist() == (marks >= 20).tolist()


def test_old_garbage_is_looked_for_where_there_was_some() -> None:
    garbage = OldGarbage()
    for freed_count in (0, 3, *[0] * FREED_NOTHING):
        assert garbage.expected()
        garbage.collected(freed_count)
    assert not garbage.expected()
    garbage.collected(1)
    assert garbage.expected()


def test_without_old_garbage_it_is_looked_for_ever_less_often() -> None:
    garbage, looked = OldGarbage(), []
    for look in range(1, 1001):
        if garbage.expected():
            garbage.collected(0)
            looked.append(look)
    between = np.diff(looked[FREED_NOTHING - 1 :])
    assert (np.diff(between) > 0).all()
    assert 4 <= len(between) < 10


def test_where_nobody_says_what_was_freed_everything_is_collected() -> None:
    garbage = OldGarbage()
    for _ in range(3 * FREED_NOTHING):
        assert garbage.expected()
        garbage.collected(None)
