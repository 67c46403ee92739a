"""``--leak-guard``: what each test leaves behind, and which line made it.

The difference between before a test's setup and after its teardown, without what fixtures of a
wider scope made on the way: those live longer than the test by intent, and are asked for at their
own end, by the test whose teardown ends them: the last of the scope.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Generator
from fnmatch import fnmatchcase
from typing import Any

import pytest

from leaklab.pytest_plugin.inside.leaklab_origins import THREAD, Origins, Remaining
from leaklab.pytest_plugin.texts import remaining_text

# Between two looks at what goes away without telling.
LOOK_SECONDS = 0.01

Key = tuple[str, Any]
Fixture = pytest.FixtureDef[Any]


class Guard:
    """Looks at the process before and after each test; the test in hand fails."""

    def __init__(self, grace_seconds: float) -> None:
        self._grace_seconds = grace_seconds
        self._origins = Origins()
        self._before: dict[Key, Remaining] = {}
        # What fixtures of a wider scope made, and of that what those made that have ended.
        self._owned: dict[Key, Fixture] = {}
        self._released: dict[Key, Fixture] = {}
        self._wider = 0
        self._failed = False
        self._expected: list[tuple[str, str]] = []
        self._expected_always: list[tuple[str, str]] = []
        self._origins.install()

    def expect(self, name: str, reason: str) -> None:
        """Let what fits the pattern ``name`` remain, after this test or in the whole session."""
        (self._expected_always if self._wider else self._expected).append((name, reason))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None, Any, Any]:
        """Remember what is there before anything of the test."""
        self._before = self._origins.census()
        self._failed = False
        self._expected.clear()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Fixture) -> Generator[None, Any, Any]:
        """Set apart what fixtures make that outlive the test."""
        if fixturedef.scope == "function":
            return (yield)
        before = self._origins.census()
        self._wider += 1
        try:
            return (yield)
        finally:
            self._wider -= 1
            # A fixture that asked for another on the way does not own what that one made.
            made = self._origins.census().keys() - before.keys() - self._owned.keys()
            self._owned.update(dict.fromkeys(made, fixturedef))

    def pytest_fixture_post_finalizer(self, fixturedef: Fixture) -> None:
        """Ask from now on for what an ended fixture made."""
        ended = [key for key, maker in self._owned.items() if maker is fixturedef]
        self._released.update((key, self._owned.pop(key)) for key in ended)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, Any, Any]:
        """Remember a failure: its traceback keeps objects alive, and is what matters then."""
        report: pytest.TestReport = yield
        self._failed = self._failed or report.failed
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Look once all of the test is torn down."""
        result = yield
        now = self._origins.census()
        self._owned = {key: maker for key, maker in self._owned.items() if key in now}
        try:
            left = [] if self._failed else self._settled()
            if left:
                makers = [self._maker(one) for one in left]
                text = remaining_text(left, item.config.get_verbosity(), makers)
                pytest.fail(text, pytrace=False)
        finally:
            self._released.clear()
        return result

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Put back what was wrapped."""
        self._origins.remove()

    def _left(self) -> list[Remaining]:
        now = self._origins.census()
        new = now.keys() - self._before.keys() - self._owned.keys()
        return [
            now[key]
            for key in new | (now.keys() & self._released.keys())
            if not now[key].is_helper and not self._is_expected(now[key])
        ]

    def _maker(self, one: Remaining) -> str:
        fixture = self._released.get(one.key)
        return f"its {fixture.scope} fixture {fixture.argname}" if fixture else "the test"

    def _settled(self) -> list[Remaining]:
        """What is left when nothing has gone away for the time of grace, or at once nothing."""
        left = self._left()
        if not left:
            return []
        gc.collect()
        end = time.monotonic() + self._grace_seconds
        while (left := self._left()) and (rest := end - time.monotonic()) > 0:
            threads = [one.thread for one in left if one.kind == THREAD]
            if threads:
                threads[0].join(min(rest, LOOK_SECONDS))
            else:
                time.sleep(min(rest, LOOK_SECONDS))
        return sorted(left, key=lambda one: (one.kind, one.name))

    def _is_expected(self, one: Remaining) -> bool:
        return any(
            fnmatchcase(one.name, name) or fnmatchcase(one.title, name) or one.kind == name
            for name, _ in (*self._expected, *self._expected_always)
        )
