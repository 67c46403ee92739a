"""``--leak-guard``: what each test leaves behind, and which line made it.

The difference between before a test's setup and after its teardown, without what fixtures of a
wider scope made on the way: those live longer than the test by intent, and are asked for at their
own end, by the test whose teardown ends them: the last of the scope. So is what such a fixture
opens only when a test uses it, as far as the fixture holds it.

A test that fails is not asked what it made itself: its failure may be why. What fixtures of a wider
scope forgot is asked for all the same, as no other test ends them.

A task that nobody ended before its runner closed counts, though the runner cancelled it: what it
was doing was cut off.
"""

from __future__ import annotations

import gc
import os
import re
import tempfile
import time
import traceback
import weakref
from collections.abc import Callable, Generator, Sequence, Set
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from leaklab.pytest_plugin.inside.leaklab_origins import (
    DESCRIPTOR,
    TEMPORARY,
    THREAD,
    Origins,
    Remaining,
)
from leaklab.pytest_plugin.inside.leaklab_stacks import is_by_installed, is_installed
from leaklab.pytest_plugin.reach import Reach
from leaklab.pytest_plugin.shared import shared_by_libraries
from leaklab.pytest_plugin.texts import remaining_text

# Between two looks at what goes away without telling.
LOOK_SECONDS = 0.01
# Of a library that wakes itself by a pipe: its two ends.
_OWN_ENDS = 2
# Where values shared with other processes are, by the block: the first that is asked for has a file
# made for all of them, and it stays.
SHARED_HEAP = "multiprocessing/heap.py"
# The outcome that plugins which repeat tests give to an attempt that does not count.
REPEATED = "rerun"

Key = tuple[str, Any]
Fixture = pytest.FixtureDef[Any]


class Guard:
    """Looks at the process before and after each test; the test in hand fails."""

    def __init__(self, config: pytest.Config, grace_seconds: float) -> None:
        self._config = config
        self._grace_seconds = grace_seconds
        self._origins = Origins()
        self._before: dict[Key, Remaining] = {}
        # What fixtures of a wider scope made, and of that what those made that have ended.
        self._owned: dict[Key, Fixture] = {}
        self._released: dict[Key, Fixture] = {}
        # The live fixtures of a wider scope, in the order of their setup, with what they hold; and
        # the tests in which what they hold was opened, where it was not in their setup.
        self._live: dict[Fixture, Callable[[], list[Any]]] = {}
        self._opened_in: dict[Key, str] = {}
        # The tests after which descriptors without a path were first there, by what they are.
        self._first_left: dict[str, str] = {}
        self._shared: weakref.WeakSet[Any] = weakref.WeakSet()
        self._wider = 0
        self._failed = False
        self._failure: BaseException | None = None
        self._told: BaseException | None = None
        self._expected: list[tuple[str, str]] = []
        self._expected_always: list[tuple[str, str]] = []
        self._origins.install()
        self._origins.watch_ends()

    def expect(self, name: str, reason: str) -> None:
        """Let what fits the pattern ``name`` remain, after this test or in the whole session."""
        (self._expected_always if self._wider else self._expected).append((name, reason))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None, Any, Any]:
        """Remember what is there before anything of the test."""
        self._origins.forget_ends()
        self._before = self._origins.census()
        self._failed, self._failure, self._told = False, None, None
        self._expected.clear()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: Fixture, request: pytest.FixtureRequest
    ) -> Generator[None, Any, Any]:
        """Set apart what fixtures make that outlive the test."""
        if fixturedef.scope == "function":
            return (yield)
        before = self._origins.census()
        holder = _holder(request)
        names = _names(holder)
        self._wider += 1
        try:
            return (yield)
        finally:
            self._wider -= 1
            # A fixture that asked for another on the way does not own what that one made.
            made = self._origins.census().keys() - before.keys() - self._owned.keys()
            self._owned.update(dict.fromkeys(made, fixturedef))
            placed = [name for name, _ in _names(holder).items() - names.items()]
            self._live[fixturedef] = partial(_held, fixturedef, holder, placed)

    def pytest_fixture_post_finalizer(self, fixturedef: Fixture) -> None:
        """Ask from now on for what an ended fixture made, unless it failed to begin."""
        self._live.pop(fixturedef, None)
        _, _, failure = fixturedef.cached_result or (None, None, None)
        for key in [key for key, maker in self._owned.items() if maker is fixturedef]:
            self._owned.pop(key)
            if failure is None or isinstance(failure[0], pytest.skip.Exception):
                self._released[key] = fixturedef

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
        """Remember a failure: its traceback keeps objects alive, and is what matters then.

        Also one that is expected. What a test leaves behind is not what its mark expects.
        """
        report: pytest.TestReport = yield
        if call.excinfo is not None and call.excinfo.value is self._told:
            report.outcome = "failed"
            vars(report).pop("wasxfail", None)
        if report.failed or _is_expected_failure(report):
            self._failed = True
            self._failure = None if call.excinfo is None else call.excinfo.value
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Ask for what ended fixtures made until it was told: a repeated test is told of once."""
        if report.when == "teardown" and report.outcome != REPEATED:
            self._released.clear()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Look once all of the test is torn down."""
        result = yield
        now = self._origins.census()
        self._owned = {key: maker for key, maker in self._owned.items() if key in now}
        self._released = {key: maker for key, maker in self._released.items() if key in now}
        self._opened_in = {key: test for key, test in self._opened_in.items() if key in now}
        if left := self._settled(item):
            makers = [self._maker(one) for one in left]
            text = remaining_text(left, item.config.get_verbosity(), makers)
            self._told = pytest.fail.Exception(text, pytrace=False)
            raise self._told
        return result

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Put back what was wrapped."""
        self._origins.remove()

    def _left(self, of: Set[Key] | None = None) -> list[Remaining]:
        """What the test left, or of the things ``of`` what is there still."""
        now = self._origins.census()
        folder = _folder(self._config)
        # What a server of a fixture's does by itself, in a thread of its own, is not the test's.
        older = self._before.keys() | self._owned.keys()
        new = now.keys() - older
        return [
            now[key]
            for key in (set() if self._failed else new) | (now.keys() & self._released.keys())
            if (of is None or key in of)
            and not now[key].is_helper
            and now[key].made_by not in older
            and now[key].thing not in self._shared
            and not self._is_expected(now[key])
            and not (now[key].kind == TEMPORARY and is_below(now[key].name, folder))
        ]

    def _maker(self, one: Remaining) -> str:
        fixture = self._released.get(one.key)
        if fixture is None:
            return "the test"
        test = self._opened_in.get(one.key)
        return f"its {fixture.scope} fixture {fixture.argname}" + (f", in {test}" if test else "")

    def _settled(self, item: pytest.Item) -> list[Remaining]:
        """What is left when the time of grace is over, or at once nothing.

        What comes and goes all that time is not the test's: it was there for all the second half.
        """
        if not self._left():
            return []
        _clear_frames(self._failure)
        gc.collect()
        self._adopt(item)
        self._shared = shared_by_libraries()
        begun = time.monotonic()
        left = self._left_at(begun + self._grace_seconds / 2)
        left = self._left_at(begun + self._grace_seconds, {one.key for one in left})
        left = self._unless_a_librarys(item, left)
        return sorted(left, key=lambda one: (one.kind, one.name))

    def _left_at(self, end: float, of: Set[Key] | None = None) -> list[Remaining]:
        """What is left at ``end``, or nothing as soon as there is nothing."""
        while (left := self._left(of)) and (rest := end - time.monotonic()) > 0:
            threads = [one.thing for one in left if one.kind == THREAD]
            if threads and threads[0] is not None:
                threads[0].join(min(rest, LOOK_SECONDS))
            else:
                time.sleep(min(rest, LOOK_SECONDS))
        return left

    def _unless_a_librarys(self, item: pytest.Item, left: list[Remaining]) -> list[Remaining]:
        """What is left without a pair of descriptors that a library made, the first of its kind.

        A library in C may keep a pipe for the life of the process, to wake itself, or a file
        where no test writes, such as its own code; any may keep a file of its own open, such as a
        font. What each test leaves anew is told from the second one on.
        """
        written = (str(self._config.rootpath), str(Path.cwd()), tempfile.gettempdir())
        own: dict[str, list[Remaining]] = {}
        for one in left:
            if one.kind == DESCRIPTOR and (what := _kept_by_library(one, written)):
                own.setdefault(what, []).append(one)
        first = [
            one
            for what, alike in own.items()
            if len(alike) <= _OWN_ENDS
            and self._first_left.setdefault(what, item.nodeid) == item.nodeid
            for one in alike
        ]
        return [one for one in left if one not in first]

    def _adopt(self, item: pytest.Item) -> None:
        """Give what is left to the live fixtures that hold it: the one set up last comes first."""
        left = [one for one in self._left() if not self._is_in_folder(item, one)]
        for fixture, held in reversed(self._live.items()):
            if not left:
                return
            reach = Reach(held(), self._origins.database_of)
            # A thread that works for a fixture leads to more that it holds.
            left.sort(key=lambda one: one.kind != THREAD)
            for one in [one for one in left if reach.holds(one)]:
                left.remove(one)
                self._give(item, one, fixture)

    def _is_in_folder(self, item: pytest.Item, one: Remaining) -> bool:
        """Whether a temporary file goes with a folder: a live fixture's, which then owns it."""
        if one.kind != TEMPORARY:
            return False
        for (kind, path), fixture in self._owned.items():
            if kind == TEMPORARY and is_below(one.name, path):
                self._give(item, one, fixture)
                return True
        return False

    def _give(self, item: pytest.Item, one: Remaining, fixture: Fixture) -> None:
        self._owned[one.key] = fixture
        self._released.pop(one.key, None)
        self._opened_in.setdefault(one.key, item.nodeid)

    def _is_expected(self, one: Remaining) -> bool:
        return any(
            fnmatchcase(one.name, name) or fnmatchcase(one.title, name) or one.kind == name
            for name, _ in (*self._expected, *self._expected_always)
        )


def _kept_by_library(one: Remaining, written: Sequence[str]) -> str:
    """What a descriptor is that a library may keep for itself; empty for any other.

    ``written``: the folders that tests write to.
    """
    link = str(one.key[1][1])
    if any(file.endswith(SHARED_HEAP) for file, _, _ in one.stack):
        return SHARED_HEAP
    if not link.startswith("/"):
        return "" if one.stack else re.sub(r":\[\d+\]$", "", link)
    if is_installed(link) and is_by_installed(one.stack):
        return link
    seen = bool(one.stack) or not Path(link).exists()
    return "" if seen or any(is_below(link, folder) for folder in written) else link


def _clear_frames(failure: BaseException | None) -> None:
    """Drop the variables of the calls that a failure went through: they keep objects alive.

    It has been reported by then, and a debugger has looked at it.
    """
    while failure is not None:
        traceback.clear_frames(failure.__traceback__)
        for frame, _ in traceback.walk_tb(failure.__traceback__):
            # Before Python 3.13 a copy of the variables, which follows them when it is asked for.
            _ = frame.f_locals
        failure = failure.__cause__ or failure.__context__


def _is_expected_failure(report: pytest.TestReport) -> bool:
    return report.skipped and hasattr(report, "wasxfail")


def is_below(path: str, folder: str | None) -> bool:
    """Return whether a path is in a folder, or in one of its own; False without a folder.

    >>> is_below("/tmp/a/b/c", "/tmp/a"), is_below("/tmp/ab", "/tmp/a")
    (True, False)
    """
    if folder is None:
        return False
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _holder(request: pytest.FixtureRequest) -> Any:
    """The class or module that ``setup_class`` and ``setup_module`` put what they make on."""
    of_class = getattr(request, "cls", None)
    return of_class if of_class is not None else getattr(request, "module", None)


def _names(holder: Any) -> dict[str, int]:
    if holder is None:
        return {}
    return {name: id(value) for name, value in vars(holder).items()}


def _held(fixture: Fixture, holder: Any, names: Sequence[str]) -> list[Any]:
    """The value of a fixture, what is to end it (its generator), and what it put on a holder."""
    value, *_ = fixture.cached_result or (None,)
    placed = [vars(holder).get(name) for name in names]
    return [value, getattr(fixture, "_finalizers", None), *placed]


def _folder(config: pytest.Config) -> str | None:
    """The folder that pytest made for temporary files and removes itself; None without one."""
    made = getattr(getattr(config, "_tmp_path_factory", None), "_basetemp", None)
    return str(made) if made else None
