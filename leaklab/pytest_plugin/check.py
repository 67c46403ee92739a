"""The fixture ``leak_check``: does a callable leak, asked in the test's own interpreter.

Descriptors, sockets, threads, tasks and children are counted exactly after every unit, and the heap
is what ``tracemalloc`` sees: memory that Python's allocators gave since the check began.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from leaklab.pytest_plugin.inside.leaklab_calls import calls_of
from leaklab.pytest_plugin.outcome import LEAK, Outcome, judged
from leaklab.pytest_plugin.settings import Settings, SettingsError, settings_of

DEFAULT_UNITS = 60
# How many further units are looked at closely once a leak is known.
CLOSE_UNITS = 20

Work = Callable[[], Any]


class LeakCheck:
    """Checks callables for the test it belongs to; the outcomes are kept in ``outcomes``."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item
        self.outcomes: list[Outcome] = []

    def __call__(
        self,
        work: Work,
        *,
        units: int = DEFAULT_UNITS,
        allow: Mapping[str, float] | None = None,
        reason: str = "",
    ) -> Any:
        """Call ``work`` ``units`` times and fail the test when something keeps growing.

        ``work`` is a callable or a coroutine function without arguments. ``allow`` is growth per
        unit that is no leak, by resource (``{"fd_count": 1}``), and needs its ``reason``. Returns
        the :class:`Outcome`; an inconclusive one is a warning that says how many units would
        decide. In a running event loop the call returns an awaitable of it.

        Example::

            def test_parse(leak_check):
                leak_check(lambda: parse("<a/>"), units=100)
        """
        settings = _settings(work, {"units": units, "allow": allow, "reason": reason})
        if not inspect.iscoroutinefunction(work):
            return self._told(self._checked(work, units, settings.allow))
        checking = self._check_coroutine(work, units, settings.allow)
        return checking if _loop_is_running() else asyncio.run(checking)

    async def _check_coroutine(
        self, work: Callable[[], Awaitable[Any]], units: int, allow: Mapping[str, float]
    ) -> Outcome:
        from leaklab.pytest_plugin.counting import Counting

        counting = Counting(units)
        with calls_of(self._item, {}) as call, counting:
            for _ in range(units):
                with call():
                    await work()
                counting.look()
        outcome = judged(counting.verdicts(), units, allow)
        if outcome.verdict == LEAK:
            from leaklab.pytest_plugin.closer import CloseLook

            with calls_of(self._item, {}) as call, CloseLook(CLOSE_UNITS, outcome) as close:
                for _ in range(CLOSE_UNITS):
                    with call():
                        await work()
            outcome = close.completed()
        return self._told(outcome)

    def _checked(self, work: Work, units: int, allow: Mapping[str, float]) -> Outcome:
        from leaklab.pytest_plugin.counting import Counting

        counting = Counting(units)
        with calls_of(self._item, {}) as call, counting:
            for _ in range(units):
                with call():
                    work()
                counting.look()
        outcome = judged(counting.verdicts(), units, allow)
        if outcome.verdict != LEAK:
            return outcome
        from leaklab.pytest_plugin.closer import CloseLook

        with calls_of(self._item, {}) as call, CloseLook(CLOSE_UNITS, outcome) as close:
            for _ in range(CLOSE_UNITS):
                with call():
                    work()
        return close.completed()

    def _told(self, outcome: Outcome) -> Outcome:
        from leaklab.pytest_plugin.telling import tell

        test = self._item.nodeid
        self.outcomes.append(outcome)
        tell(self._item, test, outcome)
        return outcome


def _settings(work: Any, options: Mapping[str, Any]) -> Settings:
    try:
        settings = settings_of((), options)
        if not callable(work):
            raise SettingsError(f"not callable: {work!r}; give a function, not its result")
    except SettingsError as problem:
        fault = str(problem)
    else:
        return settings
    return pytest.fail(f"leaklab: leak_check: {fault}", pytrace=False)


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
