"""Marked tests: whether what grew at the first look goes on at the second."""

from __future__ import annotations

import pytest
import synthetic as s

from leaklab.pytest_plugin.items import slowed
from leaklab.pytest_plugin.outcome import LEAK, Grown, Outcome
from leaklab.results.run import Run

FIRST, SECOND = 200, 400


def first_look(rate: float, resource: str = "heap_bytes", role: str = "main") -> Outcome:
    """A leak of so much a call, seen at the first look."""
    return Outcome(LEAK, FIRST, grown=(Grown(resource, rate, rate, rate, role),))


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
