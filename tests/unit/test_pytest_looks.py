"""Marked tests: how often they are called, and whether a leak goes on from look to look."""

from __future__ import annotations

import pytest
import synthetic as s

from leaklab.pytest_plugin.looks import (
    LONGEST_LOOK,
    SECOND_LOOK,
    Look,
    ever_slower,
    needs_the_longest,
    slowed,
    still_rising,
)
from leaklab.pytest_plugin.outcome import BOUNDED, INCONCLUSIVE, LEAK, Grown, Outcome
from leaklab.results.run import Run

FIRST, SECOND = 200, 400


def first_look(rate: float, resource: str = "heap_bytes", role: str = "main") -> Outcome:
    """A leak of so much a call, seen at the first look."""
    return Outcome(LEAK, FIRST, grown=(Grown(resource, rate, rate, rate, role),))


def look(outcome: Outcome, live: s.Series | None = None, seconds: float = 1.0) -> Look:
    """A look at a test whose one line holds ``live`` bytes; nothing where none are given."""
    held = s.steady(SECOND, 1000) if live is None else live
    return Look(Run(s.run(sites={"keep": held})), outcome, seconds)


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        (s.leak(SECOND, 300), False),
        (s.bounded(SECOND, 60_000, full_at=FIRST), True),
        # Full, and its table grows late: not as much as the entries did.
        (s.bounded(SECOND, 60_000, full_at=FIRST) + s.step(SECOND, 18_000, at=340), True),
    ],
)
def test_a_leak_goes_on_at_its_pace_and_a_cache_that_was_filled_does_not(
    live: s.Series, expected: bool
) -> None:
    run = Run(s.run(sites={"keep": live}))
    assert slowed(first_look(300), run) is expected


def test_one_resource_that_goes_on_is_enough() -> None:
    run = Run(
        s.run(sites={"keep": s.bounded(SECOND, 60_000, full_at=FIRST)}, fd_count=s.leak(SECOND, 1))
    )
    both = first_look(300).grown + first_look(1, "fd_count").grown
    assert not slowed(Outcome(LEAK, FIRST, grown=both), run)


def test_what_children_keep_is_not_among_the_figures_of_the_test() -> None:
    run = Run(s.run(sites={"keep": s.steady(SECOND, 1000)}))
    assert not slowed(first_look(300, "rss_bytes", "children"), run)


@pytest.mark.parametrize(
    ("units", "seconds", "following", "confirming"),
    [
        # As many calls as the seconds allow, up to the most.
        (100, 1.0, 200, 200),
        (100, 0.1, 400, 400),
        # The longest look has said leak: the next is longer still, whatever it costs.
        (1600, 4.0, 1600, 3200),
        (591, 4.0, 591, 1182),
    ],
)
def test_a_leak_is_confirmed_with_at_least_twice_the_calls(
    units: int, seconds: float, following: int, confirming: int
) -> None:
    seen = look(Outcome(LEAK, units), seconds=seconds)
    assert seen.next_units(SECOND_LOOK) == following
    assert seen.units_to_confirm(SECOND_LOOK) == confirming
    assert seen.units_to_confirm(LONGEST_LOOK) >= confirming


def test_what_the_longest_look_has_to_decide() -> None:
    leaking = s.leak(SECOND, 300)
    clear, small = first_look(300), Outcome(LEAK, FIRST, (Grown("heap_bytes", 50, -10, 200),))
    undecided = Outcome(INCONCLUSIVE, SECOND)
    assert not needs_the_longest(look(clear), look(clear, leaking))
    assert not needs_the_longest(look(clear), look(Outcome(BOUNDED, SECOND)))
    assert not needs_the_longest(look(small), look(undecided))
    assert needs_the_longest(look(clear), look(undecided))
    assert needs_the_longest(look(clear), look(small, leaking))
    # Pools of small objects fill for hundreds of calls; one of descriptors is no such pool.
    little, files = first_look(60), first_look(1, "fd_count")
    assert needs_the_longest(look(little), look(little, s.leak(SECOND, 60)))
    opened = Run(s.run(sites={"keep": s.steady(SECOND, 1000)}, fd_count=s.leak(SECOND, 1)))
    assert not needs_the_longest(look(files), Look(opened, files, 1.0))
    slower = s.bounded(SECOND, 60_000, full_at=FIRST) + s.leak(SECOND, 100)
    assert needs_the_longest(look(clear), look(clear, slower))


def test_growth_that_slows_from_look_to_look_is_undecided() -> None:
    outcome = ever_slower(first_look(300))
    assert (outcome.verdict, outcome.grown, outcome.needed_units) == (INCONCLUSIVE, (), 4 * FIRST)
    assert outcome.reason == "heap_bytes grew less per call with every look"


def test_growth_that_is_allowed_takes_no_longer_look() -> None:
    live = s.leak(200, 20_000)
    run = Run(s.run(rss=live, sites={"work": live}, traced_rss=live))
    assert run.verdict().verdict == LEAK
    assert not still_rising(run) and not still_rising(run, materially=True)
