"""Whether what a process has in number (descriptors, threads, children, tasks) ever rises.

Only then is it worth hearing of each call that makes one: that costs the target time.
"""

from __future__ import annotations

from collections.abc import Mapping

from leaklab.resources import TABLE, material

COUNTS = frozenset(row.name for row in TABLE if row.kind == "count" and row.material is not None)
# New highest values in a row of samples; a program that starts reaches a few.
RISES = 4


class RisingCounts:
    """The highest figure of each count so far, and how often it was raised.

    >>> counts = RisingCounts()
    >>> for open_files in (5, 6, 7, 8, 9, 10):
    ...     counts.see({"fd_count": open_files})
    >>> counts.rising
    ['fd_count']
    """

    def __init__(self) -> None:
        self._first: dict[str, float] = {}
        self._highest: dict[str, float] = {}
        self._rises: dict[str, int] = {}

    def see(self, values: Mapping[str, float | None]) -> None:
        """Take in the figures of one sample."""
        for name in COUNTS:
            value = values.get(name)
            if value is None:
                continue
            if name not in self._first:
                self._first[name] = self._highest[name] = value
            elif value > self._highest[name]:
                self._highest[name] = value
                self._rises[name] = self._rises.get(name, 0) + 1

    @property
    def rising(self) -> list[str]:
        """The counts that have risen again and again, by more than does not matter."""
        return sorted(
            name
            for name, rises in self._rises.items()
            if rises >= RISES and self._highest[name] - self._first[name] > material(name)
        )
