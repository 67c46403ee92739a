"""How often to look at what costs time to look at, while a process may wait at its mark."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

# What may be spent whatever its share: a run of a second must have looks enough to be judged by.
FREE_SECONDS = 0.25
# Beyond that at most this share of the time.
SHARE = 0.01


class PaidLooks:
    """Counts what looks of one kind have cost."""

    def __init__(self) -> None:
        self._spent_seconds = 0.0

    def due(self, now: float) -> bool:
        """Return whether the last looks have paid off at ``now``, in seconds of the pass."""
        return self._spent_seconds <= FREE_SECONDS + SHARE * now

    @contextmanager
    def look(self) -> Iterator[None]:
        """Count what is done meanwhile."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self._spent_seconds += time.perf_counter() - begun
