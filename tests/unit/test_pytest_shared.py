"""A thread or loop that an installed library keeps for the process is left behind by no test."""

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


def test_a_list_of_all_there_are_and_what_is_the_suites_own_are_not(
    module: ModuleType, pool: ThreadPoolExecutor
) -> None:
    several = [threading.Thread(), threading.Thread()]
    vars(module).update(ALL=several)
    assert set(several).isdisjoint(shared_by_libraries())
    vars(module).update(pool=pool, __file__=f"/home/user/{NAME}.py")
    assert pool._threads.isdisjoint(shared_by_libraries())


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
