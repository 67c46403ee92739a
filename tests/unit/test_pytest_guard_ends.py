"""``--leak-guard`` at the end of fixtures that live longer than one test."""

from __future__ import annotations

import pytest

FORGOTTEN = """
import threading
import pytest

KEPT = []

def begin():
    threading.Thread(target=threading.Event().wait, daemon=True).start()

@pytest.fixture(scope="session")
def everywhere(expect_remaining):
    expect_remaining("meant-*", reason="a daemon of the process")
    threading.Thread(target=threading.Event().wait, name="meant-1", daemon=True).start()
    KEPT.append(open("/dev/full"))
    yield

@pytest.fixture(scope="module")
def server(everywhere):
    begin()
    KEPT.append(open("/dev/null"))
    yield

class TestFirst:
    @classmethod
    def setup_class(cls):
        begin()
    def test_begins(self, server):
        pass
    def test_ends_the_class(self, server):
        KEPT.append(open("/dev/zero"))

def test_ends_the_module(server):
    pass
"""

HEALTHY = """
import asyncio, multiprocessing, os, socket, threading
import pytest, pytest_asyncio

@pytest.fixture(scope="session")
def number():
    yield os.dup(1)

@pytest.fixture(scope="session")
def later():
    stop = threading.Event()
    thread = threading.Thread(target=lambda: (stop.wait(), threading.Event().wait(0.05)))
    thread.start()
    yield thread
    stop.set()  # and does not wait for it

@pytest.fixture(scope="module", params=["a", "b"])
def listening(request, later):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening

@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def task():
    task = asyncio.create_task(asyncio.Event().wait())
    yield task
    task.cancel()

def test_one(listening):
    pass

def test_two(listening):
    pass

@pytest.mark.asyncio(loop_scope="module")
async def test_three(task, later):
    await asyncio.to_thread(int)
"""


@pytest.mark.parametrize("options", [(), ("-n1", "-p", "xdist.plugin")])
def test_what_a_wider_fixture_forgets_is_told_at_its_end(
    alone: pytest.Pytester, options: tuple[str, ...]
) -> None:
    alone.makepyfile(test_a=FORGOTTEN, test_z="def test_last(): pass")
    result = alone.runpytest_subprocess("--leak-guard", "--leak-guard-grace=0.05", *options)
    result.assert_outcomes(passed=4, errors=3)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of TestFirst.test_ends_the_class*",
            "leaklab: 2 things left behind by the test and its class fixture *setup_class*First",
            "  descriptor * (/dev/zero), made at test_a.py:* test_ends_the_class",
            "  thread *, made at test_a.py:* begin",
            "*ERROR at teardown of test_ends_the_module*",
            "leaklab: 2 things left behind by its module fixture server",
            "  descriptor * (/dev/null), made at test_a.py:* server",
            "  thread *, made at test_a.py:* begin",
            "*ERROR at teardown of test_last*",
            "leaklab: 1 thing left behind by its session fixture everywhere",
            "  descriptor * (/dev/full), made at test_a.py:* everywhere",
        ]
    )


def test_wider_fixtures_that_clear_up_are_no_leak(alone: pytest.Pytester) -> None:
    alone.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    alone.makepyfile(test_healthy=HEALTHY)
    result = alone.runpytest_subprocess("--leak-guard", "-p", "pytest_asyncio.plugin")
    result.assert_outcomes(passed=5)


HELPERS = """
import multiprocessing, subprocess, sys
from multiprocessing import shared_memory

KEPT = []

def test_shared_memory():
    memory = shared_memory.SharedMemory(create=True, size=10)
    memory.close()
    memory.unlink()

def test_spawn():
    process = multiprocessing.get_context("spawn").Process(target=int)
    process.start()
    process.join()

def test_fork_server():
    with multiprocessing.get_context("forkserver").Pool(1) as pool:
        assert pool.map(int, "12") == [1, 2]
        pool.close()
        pool.join()

def test_a_child_of_its_own():
    KEPT.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))
"""


def test_what_multiprocessing_keeps_for_itself_is_no_leak(alone: pytest.Pytester) -> None:
    alone.makepyfile(test_helpers=HELPERS)
    result = alone.runpytest_subprocess("--leak-guard")
    result.assert_outcomes(passed=4, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_a_child_of_its_own*"])
