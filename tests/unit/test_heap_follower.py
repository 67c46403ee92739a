"""A reader that is behind takes no looks that the run, as far as it has come, would drop again."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

from leaklab.recorder.heap.follower import Follower, Place
from leaklab.recorder.processes.looks import FEWEST_EXPENSIVE, Looks

PLACES = 400


class Stream:
    """A stream whose looks cost two seconds of a processor each; they wait for ``free``."""

    active = True

    def __init__(self) -> None:
        self.free = threading.Event()

    def reach(self, _: int) -> None:
        self.free.wait(60)

    def go_on(self, _: int) -> None:
        """Hand on what follows."""

    take = check = close = lambda *_: None

    def finish(self) -> Any:
        return SimpleNamespace(worked_seconds=2.0, exact=True)


def done_with(follower: Follower[str]) -> None:
    """Wait until all that was asked is done."""
    done = threading.Event()
    follower._ask(done.set)
    assert done.wait(60)


def looked_at(*, behind: bool) -> list[float]:
    """Where the heap was looked at by a reader that begins to read at the end, or is never late."""
    follower: Follower[str] = Follower()
    stream: Any = Stream()
    looks = Looks(0.05, 0.1, started=0.0)
    if not behind:
        stream.free.set()
    for number in range(PLACES):
        age = number / 10
        place = Place(stream, number, None, None, age, age, None, False, 0.0)
        follower.take("process", looks.idle_walks, place)
        if not behind:
            done_with(follower)
    stream.free.set()
    done_with(follower)
    taken = [one.place.x for one in follower.taken_in() if one.place is not None]
    follower.close()
    return taken


def test_looks_between_those_that_are_kept_are_not_taken() -> None:
    late = looked_at(behind=True)
    assert len(late) >= FEWEST_EXPENSIVE
    assert late[-1] >= 0.85 * PLACES / 10
    assert len(late) < 0.7 * len(looked_at(behind=False))
