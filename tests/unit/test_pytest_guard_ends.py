"""``--leak-guard`` at the end of fixtures that live longer than one test."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sqlite3
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from leaklab.pytest_plugin.inside.leaklab_origins import Origins
from leaklab.pytest_plugin.texts import pattern_of

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


OPENED = """
import sqlite3, tempfile, threading

KEPT = []

def test_database(tmp_path, expect_remaining):
    {0}
    path = tmp_path / "a.db"
    KEPT.append(sqlite3.connect(path.as_uri() + "?mode=rwc", uri=True))
    KEPT[-1].execute("create table kept (x)")

def test_temporary_file(expect_remaining):
    {1}
    KEPT.append(tempfile.TemporaryFile())

def test_thread(expect_remaining):
    {2}
    threading.Thread(target=threading.Event().wait, daemon=True).start()
"""


def test_what_c_opens_has_a_line_and_a_pattern_that_fits_the_next_run(
    alone: pytest.Pytester,
) -> None:
    alone.makepyfile(test_opened=OPENED.format("pass", "pass", "pass"))
    options = ("--leak-guard", "--leak-guard-grace=0.05")
    result = alone.runpytest_subprocess(*options)
    result.assert_outcomes(passed=3, errors=3)
    result.stdout.fnmatch_lines(
        [
            "  descriptor * (*a.db), made at test_opened.py:* test_database",
            "  descriptor * (*#* (deleted)), made at test_opened.py:* test_temporary_file",
            "  thread *, made at test_opened.py:* test_thread",
        ]
    )
    told = re.findall(r"(expect_remaining\(.*\))$", result.stdout.str(), re.MULTILINE)
    alone.makepyfile(test_opened=OPENED.format(*told))
    # In another folder for temporary files, and with other numbers for threads.
    alone.runpytest_subprocess("-k", "thread")
    result = alone.runpytest_subprocess(*options)
    result.assert_outcomes(passed=3)


def test_what_lies_beside_a_database_is_made_where_that_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    origins = Origins()
    origins.install()
    try:
        before = origins.census()
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("pragma journal_mode = wal")
            database.execute("create table kept (x)")
            left = [one for key, one in origins.census().items() if key not in before]
        places = {one.title.removeprefix(str(path)): one.made_at for one in left}
    finally:
        origins.remove()
    assert places.keys() == {"", "-wal", "-shm"}
    assert {place[0] for place in places.values() if place} == {__file__}
    assert all(places.values())


def test_a_file_without_a_name_is_of_who_made_it_and_not_of_who_made_the_next() -> None:
    with tempfile.TemporaryFile() as before:
        origins = Origins()
        origins.install()
        try:
            old = origins.census()
            copy = os.dup(before.fileno())
            with tempfile.TemporaryFile():
                left = [one for key, one in origins.census().items() if key not in old]
            os.close(copy)
        finally:
            origins.remove()
    (made,) = [one.made_at for one in left if one.name != f"{copy} ({one.title})"]
    (copied,) = [one.made_at for one in left if one.name == f"{copy} ({one.title})"]
    assert made is not None and made[0] == __file__
    assert copied is None


@pytest.mark.parametrize(
    ("title", "pattern"),
    [
        ("worker-1", "worker-*"),
        ("ThreadPoolExecutor-0_3", "ThreadPoolExecutor-*_*"),
        ("/tmp/pytest-of-me/pytest-12/test_a0/x.log", "/tmp/pytest-of-me/pytest-*/test_a0/x.log"),
        ("/tmp/tmpq7_x1b2c/x.log", "/tmp/tmp*/x.log"),
        ("python3.11 -c spawn_main(pipe_handle=17)", "python3.11 -c spawn_main(pipe_handle=*)"),
        ("/data/[new]/x", "/data/[[]new]/x"),
    ],
)
def test_patterns_fit_what_they_are_made_of_without_its_numbers(title: str, pattern: str) -> None:
    assert pattern_of(title) == pattern
    assert fnmatchcase(title, pattern)


def test_only_what_remains_has_its_lines_looked_up_and_pytest_itself_is_not_walked() -> None:
    origins = Origins()
    origins.install()
    try:
        before = origins.census()
        with socket.socket():
            (left,) = [one for key, one in origins.census().items() if key not in before]
    finally:
        origins.remove()
    assert left.made_at == (__file__, _line_of("with socket.socket():"), _this_test())
    assert left.stack[-1] == left.made_at


def _line_of(text: str) -> int:
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.strip() == text)


def _this_test() -> str:
    return os.environ["PYTEST_CURRENT_TEST"].split("::")[1].split(" ")[0]


# The fixture's end is judged by a test that fails, or by an attempt that is repeated.
LAST_FAILS = """
import os, socket
import pytest

KEPT, CALLS = [], []

class Client:
    line = None

@pytest.fixture(scope="module")
def forgets():
    KEPT.append(socket.socket())

@pytest.fixture(scope="module")
def hangs_up():
    client = Client()
    yield client
    client.line = None

@pytest.fixture(scope="module")
def breaks():
    KEPT.append(os.pipe())
    raise OSError("breaks")

def test_first(forgets, hangs_up):
    hangs_up.line = socket.socket()

def test_cannot_begin(breaks):
    pass

def test_last(hangs_up):
    local = hangs_up.line
    KEPT.append(os.pipe())
    CALLS.append(1)
    assert local is None or len(CALLS) == 2
"""


def test_a_failure_of_the_last_test_does_not_hide_what_a_wider_fixture_forgot(
    alone: pytest.Pytester,
) -> None:
    alone.makepyfile(test_ends=LAST_FAILS)
    result = alone.runpytest_subprocess("--leak-guard", "--leak-guard-grace=0.05")
    result.assert_outcomes(passed=1, failed=1, errors=2)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at setup of test_cannot_begin*",
            "*ERROR at teardown of test_last*",
            "leaklab: 1 thing left behind by its module fixture forgets",
            "  socket *, made at test_ends.py:* forgets",
        ]
    )


@pytest.mark.parametrize("fails", [True, False])
def test_what_a_wider_fixture_forgot_is_told_by_the_attempt_that_counts(
    alone: pytest.Pytester, fails: bool
) -> None:
    source = """
        import socket
        import pytest
        KEPT, CALLS = [], []
        @pytest.fixture(scope="module", autouse=True)
        def forgets():
            if not KEPT:
                KEPT.append(socket.socket())
        def test_last():
            CALLS.append(1)
            assert len(CALLS) == 2 or not FAILS
    """
    alone.makepyfile(test_ends=source.replace("FAILS", str(fails)))
    result = alone.runpytest_subprocess(
        "--leak-guard", "--leak-guard-grace=0", "-p", "pytest_rerunfailures", "--reruns=1"
    )
    assert result.ret == 1
    result.stdout.fnmatch_lines(["leaklab: 1 thing left behind by its module fixture forgets"])
