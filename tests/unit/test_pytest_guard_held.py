"""``--leak-guard`` on what a test only brings about: fixtures that open late, and pytest's own."""

from __future__ import annotations

import pytest

from leaklab.pytest_plugin.inside.leaklab_origins import THREAD, Remaining
from leaklab.pytest_plugin.reach import Reach

LATE = """
import asyncio, concurrent.futures, http.client, http.server, os, socket, sqlite3, tempfile
import threading
import pytest

KEPT = []

class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(204); self.end_headers()
    def log_message(self, *words):
        pass

@pytest.fixture(scope="session")
def port():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown(); thread.join()

@pytest.fixture(scope="session")
def client(port):
    client = http.client.HTTPConnection("127.0.0.1", port)
    yield client
    client.close()

@pytest.fixture(scope="session")
def pool():
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        yield pool

@pytest.fixture(scope="module")
def processes():
    with concurrent.futures.ProcessPoolExecutor(1) as processes:
        yield processes

@pytest.fixture(scope="module")
def databases():
    databases = {}
    yield databases
    databases["a"].close()

@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as folder:
        yield folder

@pytest.fixture(scope="module")
def forgetful(pool):
    yield {"pool": pool}

def test_client(client):
    client.request("GET", "/"); assert client.getresponse().read() == b""

def test_pool(pool):
    assert pool.submit(int).result() == 0

def test_processes(processes):
    assert processes.submit(int).result() == 0

def test_database(databases, tmp_path_factory):
    databases["a"] = sqlite3.connect(tmp_path_factory.mktemp("a") / "a.db")
    databases["a"].execute("select count(*) from sqlite_master").fetchall()

def test_folder(folder):
    tempfile.mkdtemp(dir=folder)

def test_tmp_path(tmp_path, monkeypatch):
    tempfile.NamedTemporaryFile(dir=tmp_path, delete=False).close()
    tempfile.mkdtemp(dir=tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    handle, _ = tempfile.mkstemp(); os.close(handle)

class TestClass:
    @classmethod
    def setup_class(cls):
        cls.pool = concurrent.futures.ThreadPoolExecutor(1)
    @classmethod
    def teardown_class(cls):
        cls.pool.shutdown()
    def test_first(self):
        self.pool.submit(int).result()
    def test_last(self):
        pass

def test_keeps(client, pool, forgetful):
    KEPT.append(socket.socket())

def test_opens(forgetful):
    forgetful["null"] = os.fdopen(os.open("/dev/null", 0)); KEPT.append(forgetful["null"])

def test_ends():
    pass
"""


def test_what_a_wider_fixture_opens_late_is_asked_for_at_its_end(alone: pytest.Pytester) -> None:
    alone.makepyfile(test_late=LATE)
    result = alone.runpytest_subprocess("--leak-guard", "--leak-guard-grace=0.1")
    result.assert_outcomes(passed=11, errors=2)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_keeps*",
            "leaklab: 1 thing left behind by the test",
            "  socket *, made at test_late.py:* test_keeps",
            "*ERROR at teardown of test_ends*",
            "leaklab: 1 thing left behind by its module fixture forgetful, in *::test_opens",
            "  descriptor * (/dev/null), made at test_late.py:* test_opens",
        ]
    )


EXPECTED_TO_FAIL = """
import os, socket
import pytest

KEPT = []

@pytest.mark.xfail
def test_fails():
    local = socket.socket()
    assert local is None

@pytest.mark.xfail
def test_fails_and_keeps():
    KEPT.append(os.pipe())
    assert False

@pytest.mark.xfail
def test_passes_and_keeps():
    KEPT.append(os.pipe())

def test_skips_and_keeps():
    KEPT.append(os.pipe())
    pytest.skip("half way")
"""


def test_an_expected_failure_is_a_failure_and_expects_no_leak(alone: pytest.Pytester) -> None:
    alone.makepyfile(test_expected=EXPECTED_TO_FAIL)
    result = alone.runpytest_subprocess("--leak-guard", "--leak-guard-grace=0.05")
    result.assert_outcomes(xfailed=2, xpassed=1, skipped=1, errors=2)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_passes_and_keeps*",
            "*ERROR at teardown of test_skips_and_keeps*",
        ]
    )


def test_a_walk_ends_at_what_is_of_the_whole_process() -> None:
    kept = object()

    def holds() -> object:
        return kept

    thread = _Thread()
    one = Remaining(THREAD, 1, "worker", thing=thread)
    assert Reach([[{"a": (holds, thread)}]]).holds(one)
    assert not Reach([_Thread, pytest, holds, _thread_of_a_global]).holds(one)


class _Thread:
    """In the place of a thread."""


THREAD_OF_A_MODULE = _Thread()


def _thread_of_a_global() -> _Thread:
    return THREAD_OF_A_MODULE


def test_a_doctest_has_its_line_and_each_title_its_expectation(alone: pytest.Pytester) -> None:
    alone.makepyfile(
        test_documented='''
        def work():
            """
            >>> import os; KEPT.append(os.pipe())
            >>> import socket; KEPT.append(socket.socket())
            """
        KEPT = []
        '''
    )
    options = ("--leak-guard", "--leak-guard-grace=0.05", "--doctest-modules")
    result = alone.runpytest_subprocess(*options)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "  descriptor * (pipe:*), made at <doctest test_documented.work[[]0]>:1 <module>",
            "  socket *, made at <doctest test_documented.work[[]1]>:1 <module>",
            '  on purpose? with the fixture expect_remaining: expect_remaining("pipe", *)',
            '      expect_remaining("socket", reason="…")',
        ]
    )


BY_ITSELF = """
import asyncio, threading, time, socket
import pytest

HELD = []
LOOP = asyncio.new_event_loop()
BEGUN = threading.Event()
TURN = []

async def serve():
    turn = asyncio.Event()
    # Where the fixture does not lead to.
    TURN.append(turn)
    while True:
        inner = asyncio.create_task(turn.wait())
        BEGUN.set()
        await inner
        turn.clear()

def running():
    task = LOOP.create_task(serve())
    LOOP.run_forever()
    task.cancel()
    LOOP.close()

@pytest.fixture(scope="module")
def server():
    thread = threading.Thread(target=running)
    thread.start()
    BEGUN.wait()
    yield
    LOOP.call_soon_threadsafe(LOOP.stop)
    thread.join()

def test_a_server_goes_on(server):
    BEGUN.clear()
    LOOP.call_soon_threadsafe(TURN[0].set)
    BEGUN.wait()

def test_a_test_leaves_it_a_task(server):
    HELD.append(asyncio.run_coroutine_threadsafe(asyncio.sleep(30), LOOP))

def renew():
    HELD.append(socket.socket())
    HELD.pop(0).close()

def test_what_comes_and_goes():
    HELD[:] = [socket.socket()]
    # In each pause between two looks, as a thread would that goes on.
    pause = time.sleep
    time.sleep = lambda seconds: (renew(), pause(seconds))

def test_last():
    pass
"""


def test_what_goes_on_without_the_test_is_not_its_own(alone: pytest.Pytester) -> None:
    """A task that a server's own task made in its thread, and what is another at each look."""
    alone.makepyfile(BY_ITSELF)
    result = alone.runpytest_subprocess("--leak-guard", "--leak-guard-grace=0.1")
    result.assert_outcomes(passed=4, errors=1)
    result.stdout.fnmatch_lines(["ERROR *::test_a_test_leaves_it_a_task*"])
