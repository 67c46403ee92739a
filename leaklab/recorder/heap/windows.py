"""Tracing for a share of the time: when a process is traced, and what its windows tell.

What frees a block that was allocated outside of a window is not seen, and what was allocated in one
may be freed after it. So a window is looked at twice, in its middle and at its end: what a stack
holds more at the end has come in the meantime, and what is only replaced, each block by the next,
holds as much then as before. What lives longer than half a window before it is replaced, such as
the entries of a full cache, still looks like growth here: whether there is any is told by counters
that are exact (see leaklab.verdict.sampled).
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from leaklab.recorder.heap.follower import Place
from leaklab.recorder.heap.stream import HeapSnapshot, HeapStream

# Starting and stopping the tracer takes some 30 ms: a tenth of the shortest window.
SHORTEST_SECONDS = 0.3
# One window falls into each cycle; cycles are this share of a process's age, so that a long run has
# a bounded number of windows.
CYCLE_SHARE = 1 / 40


@dataclass(frozen=True)
class Window:
    """One window: seconds of the pass, and marks where there are any, of its two looks."""

    middle_seconds: float
    middle_mark: int | None
    end_seconds: float
    end_mark: int | None


class Windows:
    """The windows of one process: one in each cycle, at a place that is drawn at random."""

    def __init__(self, share: float, started: float) -> None:
        self.share = share
        self.done: list[Window] = []
        self._started = started
        self._random = random.Random()
        self._length_seconds = 0.0
        self._cycle_end = started
        self._opens = 0.0
        self._opened: float | None = None
        self._middle: tuple[float, int | None] | None = None
        self._over = False
        self._heap = SampledHeap()
        self._plan(started)

    def _plan(self, now: float) -> None:
        cycle = max(SHORTEST_SECONDS / self.share, CYCLE_SHARE * (now - self._started))
        self._length_seconds = self.share * cycle
        begin = max(self._cycle_end, now)
        self._cycle_end = begin + cycle
        self._opens = begin + self._random.random() * (cycle - self._length_seconds)
        self._opened, self._middle, self._over = None, None, False

    def opens(self, now: float) -> bool:
        """Return whether a window is to begin by now."""
        return self._opened is None and now >= self._opens

    def opened(self, now: float) -> None:
        """Note that the tracer runs."""
        self._opened = now

    def snapshot_due(self, now: float) -> bool:
        """Return whether the heap is to be looked at: in the middle of a window, or at its end."""
        if self._opened is None or self._over:
            return False
        part = 0.5 if self._middle is None else 1.0
        return now >= self._opened + part * self._length_seconds

    def looked(self, now: float, mark: int | None) -> None:
        """Note a look at the heap; the second one ends the window."""
        if self._middle is None:
            self._middle = (now, mark)
            return
        self.done.append(Window(*self._middle, now, mark))
        self._over = True

    def closes(self, now: float) -> bool:
        """Return whether the tracing is to end by now; then the next window is planned."""
        if self._over:
            self._plan(now)
            return True
        return False

    def estimated(self, place: Place, found: HeapSnapshot) -> HeapSnapshot | None:
        """Return the growth estimated by the end of a window, None in its middle."""
        return self._heap.take(place, found)

    def row(self) -> dict[str, Any]:
        """Return what run.json says: the share, and each window's looks."""
        return {"share": self.share, "windows": [vars(window) for window in self.done]}


class SampledHeap:
    """Growth by stack: what came between the two looks of each window, stretched to its cycle."""

    def __init__(self) -> None:
        self._stream: HeapStream | None = None
        self._live: dict[int, tuple[int, int]] = {}
        self._middle: dict[int, tuple[int, int]] | None = None
        self._middle_x = 0.0
        self._exact = True
        self._last_x = 0.0
        self._grown: dict[int, tuple[float, float]] = {}

    def take(self, place: Place, found: HeapSnapshot) -> HeapSnapshot | None:
        """Take in a look; returns the growth so far at the end of a window, None in its middle."""
        x = place.now if place.mark is None else float(place.mark)
        if place.stream is not self._stream:
            self._stream, self._live, self._middle = place.stream, {}, None
        self._live.update((stack, (size, count)) for stack, size, count in found.changed)
        if self._middle is None:
            self._middle, self._middle_x, self._exact = dict(self._live), x, found.exact
            return None
        changed = []
        if x > self._middle_x:
            scale = (x - self._last_x) / (x - self._middle_x)
            changed = self._grow(scale, self._live.keys() | self._middle.keys())
        self._last_x = x
        held = [self._rounded(stack) for stack in self._grown]
        return replace(
            found,
            live_bytes=sum(size for size, _ in held),
            allocation_count=sum(count for _, count in held),
            stack_count=sum(figures != (0, 0) for figures in held),
            exact=found.exact and self._exact,
            changed=changed,
        )

    def _grow(self, scale: float, stacks: Iterable[int]) -> list[tuple[int, int, int]]:
        middle, changed = self._middle or {}, []
        for stack in stacks:
            size, count = self._live.get(stack, (0, 0))
            size_before, count_before = middle.get(stack, (0, 0))
            if (size, count) == (size_before, count_before):
                continue
            grown_size, grown_count = self._grown.get(stack, (0.0, 0.0))
            self._grown[stack] = (
                grown_size + scale * (size - size_before),
                grown_count + scale * (count - count_before),
            )
            changed.append((stack, *self._rounded(stack)))
        return changed

    def _rounded(self, stack: int) -> tuple[int, int]:
        # Chance brings some below nothing; a heap holds no less than that.
        size, count = self._grown[stack]
        return max(0, round(size)), max(0, round(count))
