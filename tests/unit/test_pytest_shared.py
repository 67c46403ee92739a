"""What an installed library keeps for the process is left behind by no test."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import pytest

from leaklab.pytest_plugin.shared import shared_by_libraries

NAME = "pooled_for_the_process"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    made = ModuleType(NAME)
    made.__file__ = f"/venv/lib/python3/site-packages/{NAME}.py"
    monkeypatch.setitem(sys.modules, NAME, made)
    return made


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()
        yield pool


def test_what_a_module_or_class_of_a_library_keeps_one_of_is_shared(
    module: ModuleType, pool: ThreadPoolExecutor
) -> None:
    loop, monitor = asyncio.new_event_loop(), threading.Thread()
    try:
        vars(module).update(LOOP=[loop], Tool=type("Tool", (), {"__module__": NAME, "pool": pool}))
        vars(module)["monitor"] = monitor
        assert {loop, monitor, *pool._threads} <= set(shared_by_libraries())
    finally:
        loop.close()


class Late:
    """What is loaded when it is first asked for anything, its class included, and cannot be."""

    def __getattribute__(self, name: str) -> object:
        raise RuntimeError(f"not configured: {name}")


def test_what_is_loaded_late_is_not_asked(module: ModuleType, pool: ThreadPoolExecutor) -> None:
    vars(module).update(settings=Late(), pool=pool)
    assert pool._threads <= set(shared_by_libraries())


def test_a_list_of_all_there_are_and_what_is_the_suites_own_are_not(
    module: ModuleType, pool: ThreadPoolExecutor
) -> None:
    several = [threading.Thread(), threading.Thread()]
    vars(module).update(ALL=several)
    assert set(several).isdisjoint(shared_by_libraries())
    vars(module).update(pool=pool, __file__=f"/home/user/{NAME}.py")
    assert pool._threads.isdisjoint(shared_by_libraries())


class Part:
    """An object of a library, as it is kept there."""

    __module__ = NAME
    __slots__ = ("kept",)

    def __init__(self, kept: object) -> None:
        self.kept = kept


def test_what_a_librarys_one_cache_of_threads_leads_to_is_shared(module: ModuleType) -> None:
    idle = [threading.Thread(), threading.Thread()]
    vars(module).update(cache=Part({Part(one): None for one in idle}))
    assert set(idle) <= set(shared_by_libraries())
    vars(module).update(cache={number: Part(one) for number, one in enumerate(idle)})
    assert set(idle).isdisjoint(shared_by_libraries())


LIBRARY = """
from concurrent.futures import ThreadPoolExecutor

class Single:
    pool = ThreadPoolExecutor(1)
"""
TEST = """
import {name}

def test_uses():
    assert {name}.Single.pool.submit(int).result() == 0
"""


def test_the_guard_tells_the_pool_of_the_suite_and_not_that_of_a_library(
    alone: pytest.Pytester,
) -> None:
    for name, folder in (("theirs", alone.mkdir("site-packages")), ("ours", alone.path)):
        folder.joinpath(f"{name}.py").write_text(LIBRARY)
        alone.path.joinpath(f"test_{name}.py").write_text(TEST.format(name=name))
        alone.syspathinsert(folder)
    arguments = ("-p", "leaklab.pytest_plugin", "--leak-guard", "--leak-guard-grace=0")
    result = alone.runpytest_inprocess(*arguments)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["ERROR test_ours.py::test_uses*"])


FONTS = """
from pathlib import Path

KEPT = []

def font():
    KEPT.append(Path(__file__).with_suffix(".ttf").open("w"))
"""
DRAWS = """
import os, select
import fonts, own

KEPT = []

def test_draws():
    fonts.font()

def test_draws_again():
    fonts.font()

def test_keeps_its_own():
    own.font()

def test_wakes_itself():
    # Seen by no Python code, as if a library in C had made them.
    KEPT.extend([os.eventfd(0), os.eventfd(0), select.epoll(), select.epoll()])

def test_wakes_itself_again():
    KEPT.append(os.eventfd(0))
"""


def test_the_first_of_what_a_library_keeps_open_for_itself_is_not_told(
    alone: pytest.Pytester,
) -> None:
    for name, folder in (("fonts", alone.mkdir("site-packages")), ("own", alone.path)):
        folder.joinpath(f"{name}.py").write_text(FONTS)
        alone.syspathinsert(folder)
    alone.makepyfile(DRAWS + "\ndef teardown_module():\n    [one.close() for one in fonts.KEPT]\n")
    arguments = ("-p", "leaklab.pytest_plugin", "--leak-guard", "--leak-guard-grace=0")
    result = alone.runpytest_inprocess(*arguments)
    result.assert_outcomes(passed=5, errors=3)
    told = ("draws_again", "keeps_its_own", "wakes_itself_again")
    result.stdout.fnmatch_lines([f"ERROR *::test_{name}*" for name in told])


OUT_OF_SIGHT = """
import ctypes, multiprocessing

KEPT = []
LIBC = ctypes.CDLL(None)

def test_shares_a_value():
    multiprocessing.Value("i")

def test_keeps_more_than_is_there_to_share():
    KEPT.append(multiprocessing.Array("b", 5_000_000))

def test_a_library_opens_a_file_of_the_systems():
    assert LIBC.open(b"/etc/passwd", 0) >= 0

def test_it_does_again():
    assert LIBC.open(b"/etc/passwd", 0) >= 0

def test_a_library_opens_a_file_of_the_tests():
    assert LIBC.open(__file__.encode(), 0) >= 0
"""


def test_the_first_of_what_is_kept_out_of_sight_is_not_told_unless_it_is_where_tests_write(
    alone: pytest.Pytester,
) -> None:
    alone.makepyfile(OUT_OF_SIGHT)
    result = alone.runpytest_subprocess("--leak-guard", "--leak-guard-grace=0")
    result.assert_outcomes(passed=5, errors=3)
    told = ("keeps_more_than_is_there_to_share", "it_does_again", "a_library_opens_a_file_of_the_t")
    result.stdout.fnmatch_lines([f"ERROR *::test_{name}*" for name in told])
