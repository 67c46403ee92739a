"""A line on pytest's terminal now and then, while a test takes long to be judged."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest

# Who runs a whole suite wants no more lines than tests; the time of the last is doubled each time.
FIRST_LINE_SECONDS = 10.0


class Waiting:
    """Takes the progress of all recordings of one test.

    Says nothing with ``-q``, nor in a worker of xdist, which has no terminal.
    """

    def __init__(self, item: pytest.Item, clock: Callable[[], float] = time.monotonic) -> None:
        self._test = item.nodeid
        self._clock = clock
        self._begun = clock()
        self._due_seconds = FIRST_LINE_SECONDS
        manager = item.config.pluginmanager
        self._terminal: Any = manager.getplugin("terminalreporter")
        self._capture: Any = manager.getplugin("capturemanager")
        self._tells = self._terminal is not None and item.config.get_verbosity() >= 0

    def __call__(self, event: dict[str, Any]) -> None:
        """Take one event of the recorder's."""
        seconds = self._clock() - self._begun
        if not self._tells or seconds < self._due_seconds:
            return
        self._due_seconds = 2 * seconds
        calls = event.get("mark") or 0
        text = (
            f"leaklab: {self._test}: {seconds:.0f} s so far, in the {event.get('pass')} pass after "
            f"{calls} {'call' if calls == 1 else 'calls'}"
        )
        with self._capture.global_and_fixture_disabled() if self._capture else nullcontext():
            self._terminal.write_line(text)
