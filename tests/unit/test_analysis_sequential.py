"""Recording until it is decided: few looks, and no more false alarms than one look."""

from __future__ import annotations

import numpy as np
import pytest
import synthetic as s

from leaklab.verdict.judge_series import judge_series
from leaklab.verdict.sequential import decide, judge_followed, looks

BUDGET = 400


def record(make_rss: s.Series, sites: dict[str, s.Series] | None = None) -> tuple[str, float]:
    """Follow a run that grows until the decision; what was said, and after how many marks."""
    history = []
    for at in looks("iteration", BUDGET):
        count = int(at)
        part = {name: values[:count] for name, values in (sites or {}).items()}
        data = s.run(rss=make_rss[:count], sites=part or None)
        decision = decide(data, history, budget=BUDGET, x=at)
        history.append(decision.look)
        if decision.stop:
            return decision.verdict, at
    raise AssertionError("the budget did not end it")


def test_the_schedule_is_fixed_and_ends_at_the_budget() -> None:
    schedule = looks("iteration", 400)
    assert schedule == [40, 60, 90, 135, 202.5, 303.75, 400]
    assert looks("iteration", 20) == [20]


def test_a_leak_is_decided_early_and_a_healthy_run_later() -> None:
    leaking = record(s.leak(BUDGET, 50_000), {"keep": s.leak(BUDGET, 50_000)})
    assert leaking == ("leak", 90)
    verdict, at = record(s.noise(BUDGET, 50_000), {"keep": s.steady(BUDGET, 1e6)})
    assert verdict == "bounded"
    assert 100 < at < BUDGET


def test_false_alarms_of_all_looks_together_stay_rare() -> None:
    alarms = 0
    for seed in range(40):
        noise = s.noise(BUDGET, 3e6, autocorrelation=0.9, seed=seed)
        alarms += record(noise)[0] == "leak"
    assert alarms / 40 <= 0.05


@pytest.mark.parametrize(("half_life", "said"), [(100, "inconclusive"), (20, "bounded")])
def test_a_cache_that_fills_slowly_is_not_called_a_leak_on_the_way(
    half_life: int, said: str
) -> None:
    filling = s.warm_up(BUDGET, 1e9, half_life=half_life)
    verdict, at = record(filling, {"fill": np.rint(filling)})
    assert verdict == said
    assert at > 200


def test_what_is_followed_leaks_once_several_looks_have_seen_it() -> None:
    # A cache of fifty pages that is asked for at random, seen while it fills; and a leak as fast.
    once = several = found = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        asked = random.integers(0, 50, 75)
        held = np.array([len(set(asked[: n + 1].tolist())) for n in range(75)])
        unrest = 4e7 + np.cumsum(random.normal(0, 1e4, 75))
        filling, leaking = unrest + 1e5 * held, unrest + 1e5 * np.arange(75)
        once += judge_series(range(75), filling).verdict == "leak"
        said = judge_followed(range(75), filling)
        several += said.verdict == "leak"
        if "this is number" in said.reason:
            assert said.verdict == "inconclusive" and said.more_x > 0
        found += judge_followed(range(75), leaking).verdict == "leak"
    assert once >= 5
    assert several <= 2
    assert found == 20
