"""Long recordings keep ever fewer marks and snapshots: that must not turn a verdict around."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from leaklab.probe import session, watchdog
from leaklab.recorder.double_marks import double_text
from leaklab.recorder.intervals import FIRST_INTERVAL_SECONDS, interval_seconds
from leaklab.recorder.processes.looks import Looks
from leaklab.verdict.evidence import GROWS, STOPPED, UNDECIDED
from leaklab.verdict.growth import estimate
from leaklab.verdict.reading import read
from leaklab.verdict.shapes import HEALTHY, LEAKING, MATERIAL, Series

MARK_COUNT = 20_000
SECONDS_PER_MARK = 0.01
REPEATS = 6
SHAPES = {**HEALTHY, **LEAKING}


class Clock:
    """Stands in for the clock of the probe."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


def told_marks(count: int, clock: Clock) -> Iterator[int]:
    """The marks a probe tells its recorder, where telling one takes 3 ms."""

    class Line:
        intact = True
        asked = 0

        def ask(self, message: dict[str, object]) -> list[str]:
            clock.now += 0.003
            self.asked += 1
            return ["go"]

    one, line = session.Session("nowhere"), Line()
    one._channel = line
    for mark in range(count):
        clock.now += SECONDS_PER_MARK
        before = line.asked
        one.mark()
        if line.asked > before:
            yield mark


def snapshot_marks(count: int, cost_seconds: float) -> Iterator[int]:
    """The marks at which a snapshot is taken."""
    pacing, now = Looks(0.05, 0.1, started=0.0).snapshots, 0.0
    for mark in range(1, count + 1):
        now += SECONDS_PER_MARK
        if pacing.due(now, mark):
            pacing.spent(cost_seconds, mark, now)
            now += cost_seconds
            yield mark - 1


def sampled_marks(count: int) -> Iterator[int]:
    """The marks next to which the samples between them fall, in an hour."""
    now = FIRST_INTERVAL_SECONDS
    while now < 3600:
        yield int(now / 3600 * count)
        now += interval_seconds(now)


@pytest.fixture(params=["marks told", "samples", "cheap snapshots", "dear snapshots"])
def kept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> NDArray[np.int64]:
    clock = Clock()
    for module in (session, watchdog):
        if hasattr(module, "monotonic"):
            monkeypatch.setattr(module, "monotonic", clock.monotonic)
    chosen = {
        "marks told": lambda: told_marks(MARK_COUNT, clock),
        "samples": lambda: sampled_marks(MARK_COUNT),
        "cheap snapshots": lambda: snapshot_marks(MARK_COUNT, 0.002),
        "dear snapshots": lambda: snapshot_marks(MARK_COUNT, 0.3),
    }[request.param]
    marks = np.unique(list(chosen()))
    assert 50 < len(marks) < MARK_COUNT / 10
    return marks


def verdict(x: NDArray[np.int64], y: Series) -> str:
    return read(estimate(x + 1.0, y), material=MATERIAL)[1].verdict


@cache
def whole(name: str, seed: int) -> tuple[Series, str]:
    """Return a series, and the verdict on all of it, which no way of thinning changes."""
    series = SHAPES[name](MARK_COUNT, seed)
    return series, verdict(np.arange(MARK_COUNT), series)


def test_no_verdict_is_turned_around(kept: NDArray[np.int64]) -> None:
    blurred = 0
    for name in SHAPES:
        for seed in range(REPEATS):
            series, full = whole(name, seed)
            thinned = verdict(kept, series[kept])
            assert {full, thinned} != {GROWS, STOPPED}, (name, seed)
            blurred += thinned == UNDECIDED != full
    # Some series are too noisy for so few figures: then the answer is that it is not decided.
    assert blurred <= 0.1 * len(SHAPES) * REPEATS


def test_noise_does_not_grow_where_only_the_density_falls(kept: NDArray[np.int64]) -> None:
    for name in ("noise", "autocorrelated noise"):
        for seed in range(40):
            assert verdict(kept, HEALTHY[name](MARK_COUNT, seed)[kept]) != GROWS, (name, seed)


def test_marks_by_hand_beside_those_that_were_asked_for_are_told() -> None:
    """A target that calls mark() in each request, recorded with --mark-on http."""

    class Line:
        intact = True
        told: list[object]

        def ask(self, message: dict[str, object]) -> list[str]:
            self.told.append(message["both"])
            return ["go"]

    def told(*ends: str) -> list[object]:
        one, line = session.Session("nowhere"), Line()
        one._channel, line.told = line, []
        for end in ends:
            if end == "request":
                one.mark_call(lambda args: None, (), 1)
            else:
                one.mark(None, end == "mark()")
        return line.told

    assert told("mark()", "mark()", "request") == [False, False, True]
    assert told("task", "task", "request") == [False] * 3, "nobody has called mark()"
    assert told("task", "mark()") == [False, True]
    rows = [{"role": "main"}, {"role": "worker", "marked_by_both": True}]
    assert double_text(["http"], rows[:1]) == ""
    assert "in worker were ended by mark() and by --mark-on http" in double_text(["http"], rows)
