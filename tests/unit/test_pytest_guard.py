"""``--leak-guard`` and ``leak_check`` through pytest itself, each suite in a process of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

INI = """
[pytest]
asyncio_default_fixture_loop_scope = function
"""

LEFT = """
import asyncio, os, socket, subprocess, sys, tempfile, threading
import pytest

KEPT = []

def test_thread():
    event = threading.Event(); KEPT.append(event)
    threading.Thread(target=event.wait, name="worker-1", daemon=True).start()

def test_file(tmp_path):
    KEPT.append(open(tmp_path / "kept.txt", "w"))

def test_socket():
    KEPT.append(socket.create_server(("127.0.0.1", 0)))

def test_pipe():
    KEPT.append(os.pipe())

def test_child():
    KEPT.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))

def test_temporary_file():
    handle, path = tempfile.mkstemp(); os.close(handle); KEPT.append(path)

def test_task():
    async def main():
        KEPT.append(asyncio.create_task(asyncio.Event().wait(), name="forgotten"))
    loop = asyncio.new_event_loop(); KEPT.append(loop)
    loop.run_until_complete(main())

def test_a_failure_is_all_that_counts():
    KEPT.append(os.pipe())
    assert False

def test_a_file_again(tmp_path):
    KEPT.append(open(tmp_path / "again.txt", "w"))
"""

FINE = """
import asyncio, os, socket, subprocess, sys, tempfile, threading, time, unittest
import pytest

@pytest.fixture(scope="module")
def server():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server

def test_a_wider_fixture_lives_on(server):
    pass

def test_what_is_closed(tmp_path, server):
    with open(tmp_path / "x", "w") as file, tempfile.TemporaryDirectory():
        file.write("x")
    subprocess.run([sys.executable, "-S", "-c", ""])
    asyncio.run(asyncio.sleep(0))

def test_what_ends_by_itself_a_little_later():
    threading.Thread(target=time.sleep, args=(0.05,)).start()

class TestCycle:
    def test_garbage_is_collected_first(self):
        class Holder:
            def __del__(self):
                os.close(self.number)
        holder = Holder(); holder.itself = holder; holder.number = os.open("/dev/null", 0)

class TestCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = socket.create_server(("127.0.0.1", 0))
    @classmethod
    def tearDownClass(cls):
        cls.server.close()
    def test_with_a_class_wide_server(self):
        pass

def test_on_purpose(expect_remaining):
    expect_remaining("worker-*", reason="a daemon of the process")
    threading.Thread(target=threading.Event().wait, name="worker-2", daemon=True).start()

@pytest.mark.asyncio
async def test_asyncio():
    await asyncio.sleep(0)

@pytest.mark.anyio
async def test_anyio():
    await asyncio.sleep(0)

@pytest.fixture
def anyio_backend():
    return "asyncio"
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeini(INI)
    return pytester


def test_what_is_left_is_named_with_the_line_that_made_it(alone: pytest.Pytester) -> None:
    alone.makepyfile(test_left=LEFT)
    result = alone.runpytest_subprocess("--leak-guard", "--leak-guard-grace=0.05")
    result.assert_outcomes(passed=8, failed=1, errors=8)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_thread*",
            "leaklab: 1 thing left behind by the test",
            "  thread worker-1 (daemon), made at test_left.py:* test_thread",
            '      threading.Thread(target=event.wait, name="worker-1", daemon=True).start()',
            '  on purpose? with the fixture expect_remaining: expect_remaining("worker-[*]", *)',
            "  descriptor * (*kept.txt), made at test_left.py:* test_file",
            "  socket * (AF_INET 127.0.0.1:*), made at test_left.py:* test_socket",
            "  descriptor * (pipe:*), made at test_left.py:* test_pipe",
            "  child process * -c input()), made at test_left.py:* test_child",
            "  temporary file *, made at test_left.py:* test_temporary_file",
            "  task forgotten of Event.wait, made at test_left.py:* main",
            "*ERROR at teardown of test_a_file_again*",
        ]
    )


@pytest.mark.parametrize("options", [(), ("-n1", "-p", "no:cacheprovider")])
def test_what_goes_away_or_is_meant_is_no_leak(
    suite: pytest.Pytester, options: tuple[str, ...]
) -> None:
    suite.makepyfile(test_fine=FINE)
    result = suite.runpytest_subprocess("--leak-guard", "-W", "error", *options)
    result.assert_outcomes(passed=8)


CHECKED = """
import asyncio, os, threading
import pytest

KEPT = []

def test_fine(leak_check):
    outcome = leak_check(lambda: [0] * 1000)
    assert outcome.verdict == "bounded"
    assert outcome.power == "at most 0 B per call if one call in 20 leaks, or more of them"

def test_what_pytest_gathers_is_no_leak(leak_check, caplog):
    import logging, warnings
    def work():
        logging.getLogger().warning("x" * 2000)
        warnings.warn("y" * 2000)
        open(os.devnull).close()
    logging.getLogger().warning("kept")
    assert leak_check(work).verdict == "bounded"
    assert [record.getMessage() for record in caplog.records] == ["kept"]

def test_a_cache_fills_and_stays(leak_check):
    cache = {}
    def work(calls=iter(range(1000))):
        cache[next(calls) % 5] = bytearray(5000)
    assert leak_check(work).verdict == "bounded"

def test_pages(leak_check):
    def work():
        KEPT.append(bytearray(2000))
    leak_check(work)

def test_descriptor(leak_check):
    leak_check(lambda: KEPT.append(os.open("/dev/null", os.O_RDONLY)), units=20)

def test_descriptor_allowed(leak_check):
    work = lambda: KEPT.append(os.open("/dev/null", os.O_RDONLY))
    leak_check(work, allow={"fd_count": 1}, reason="one for each")

@pytest.mark.asyncio
async def test_in_a_loop(leak_check):
    async def work():
        KEPT.append(asyncio.create_task(asyncio.Event().wait()))
    allow = {"heap_bytes": 9000, "rss_bytes": 9000}
    await leak_check(work, units=20, allow=allow, reason="tasks are what is asked for")

def test_undecided(request):
    from leaklab.pytest_plugin.outcome import Outcome
    from leaklab.pytest_plugin.telling import tell
    outcome = Outcome("inconclusive", 20, needed_units=70, reason="heap_bytes slows down")
    tell(request.node, request.node.nodeid, outcome)

def test_typo(leak_check):
    leak_check(lambda: None, allow={"fds": 1}, reason="x")

def test_no_function(leak_check):
    leak_check(3)
"""


def test_leak_check_has_three_outcomes(alone: pytest.Pytester) -> None:
    alone.makeini(INI)
    alone.makepyfile(test_checked=CHECKED)
    options = ("-p", "pytest_asyncio.plugin", "--leak-guard", "--leak-guard-grace=0")
    result = alone.runpytest_subprocess(*options)
    result.stdout.fnmatch_lines(
        [
            "leaklab: leak: heap grows by * KiB per call*, 60 calls",
            "  test_checked.py:* work keeps * KiB per call",
            "      KEPT.append(bytearray(2000))",
            "  held by test_checked.KEPT → list item → bytearray",
            "leaklab: leak: 1 fd per call*, 20 calls",
            "  descriptor: 1 per call, made at test_checked.py:* <lambda>: *",
            "  task: 1 per call, made at test_checked.py:* work: *",
            "leaklab: leak_check: allow: 'fds'; allowed: *",
            "leaklab: leak_check: not callable: 3; give a function, not its result",
        ]
    )
    result.stdout.fnmatch_lines(
        ["*LeaksInconclusiveWarning: leaklab: inconclusive after 20 units, 70 would decide: *"]
    )
    result.stdout.fnmatch_lines(["3 leaks, 1 inconclusive, 4 fine"])
    result.assert_outcomes(passed=5, failed=5, errors=1, warnings=1)


REMEMBERED = """
import itertools, warnings
import pytest

NUMBERS = itertools.count()

def work():
    warnings.warn("call %d is slow %s" % (next(NUMBERS), "x" * 2000))

def test_inside(leak_check):
    leak_check(work)

@pytest.mark.leaks(units=60)
def test_marked():
    work()
"""


def test_what_a_module_remembers_of_its_warnings_is_its_leak(alone: pytest.Pytester) -> None:
    alone.makepyfile(test_remembered=REMEMBERED)
    result = alone.runpytest_subprocess()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["leaklab: leak: heap grows by * KiB per call*, 60 calls"] * 2)


def test_where_tests_of_a_review_disagree_with_leak_check_they_are_wrong(
    alone: pytest.Pytester,
) -> None:
    source = Path(__file__).parents[2] / "notebooks" / "examples" / "test_what_tests_miss.py"
    shutil.copy(source, alone.path)
    result = alone.runpytest_subprocess()
    result.assert_outcomes(passed=5, failed=3)
    result.stdout.fnmatch_lines(
        [
            "FAILED *test_small_answers_kept_with_leak_check*",
            "FAILED *test_bounded_cache_as_documented*",
            "FAILED *test_clients_kept_with_leak_check*",
        ]
    )


HERE = """
import asyncio, logging, sys, unittest, warnings
import pytest
from hypothesis import given, strategies

CALLS = {}

def count(name):
    CALLS[name] = CALLS.get(name, 0) + 1
    return CALLS[name]

def test_function(monkeypatch, caplog, capsys, recwarn):
    count("function")
    assert not hasattr(sys, "patched") and not caplog.records
    monkeypatch.setattr(sys, "patched", 1, raising=False)
    logging.getLogger().warning("said"); print("said"); warnings.warn("said")
    assert len(caplog.records) == 1 and capsys.readouterr().out == "said\\n"

class TestCase(unittest.TestCase):
    def setUp(self):
        count("setUp")
    def test_case(self):
        count("case")

class TestAsync(unittest.IsolatedAsyncioTestCase):
    async def test_async_case(self):
        count("async case")

@pytest.mark.asyncio
async def test_asyncio():
    count("asyncio"); await asyncio.sleep(0)

@pytest.mark.anyio
async def test_anyio():
    count("anyio"); await asyncio.sleep(0)

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.parametrize("value", ["x" * 300])
def test_parameters(value):
    count("parameters")

@given(strategies.integers())
def test_hypothesis(number):
    count("hypothesis")

def test_counts():
    if CALLS.get("checked"):
        return
    CALLS["checked"] = 1
    assert CALLS.pop("hypothesis") >= 20
    assert CALLS == {"function": 20, "setUp": 20, "case": 20, "async case": 20, "asyncio": 20,
                     "anyio": 20, "parameters": 20, "checked": 1}
"""


def test_bodies_of_every_kind_are_repeated_with_fixtures_set_up_once(
    suite: pytest.Pytester,
) -> None:
    suite.makepyfile(test_here=HERE)
    result = suite.runpytest_subprocess("--leaks-here=20", "-p", "no:randomly")
    result.assert_outcomes(passed=8)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (("--leaks-here=x",), "leaklab: --leaks-here: x; a whole number from 1 on"),
        (("--leak-guard", "--leak-guard-grace=no"), "leaklab: --leak-guard-grace: no; seconds*"),
        (("--leaks=a and",), "leaklab: --leaks: a and:*"),
        (("--leaks", "--leaks-units=0"), "leaklab: --leaks-units: 0; a whole number from 20 on"),
        (("--leaks", "--leaks-units=19"), "leaklab: --leaks-units: 19; a whole number from 20 *"),
        (("-n1", "-p", "xdist.plugin", "--leaks-units=0"), "leaklab: --leaks-units: 0; a whole *"),
        (("--leaks-python=nowhere/python",), "leaklab: --leaks-python: no such interpreter: now*"),
        (("--leaks-report=test_one.py/pages",), "leaklab: --leaks-report: *test_one.py/pages: *"),
        (("--leaks-known=none.toml",), "leaklab: --leaks-known: */none.toml: no such file; name *"),
        (("--leaks-accept=",), "leaklab: --leaks-accept: ''; the reason, such as *"),
    ],
)
def test_wrong_options_are_refused_by_name(
    alone: pytest.Pytester, options: tuple[str, ...], fault: str
) -> None:
    alone.makepyfile(test_one="def test_one(): pass")
    result = alone.runpytest_subprocess(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{fault}"])


def test_a_known_leak_passes_and_one_that_is_gone_fails_a_strict_session(
    alone: pytest.Pytester,
) -> None:
    alone.makepyfile(
        test_known="""
        import os
        KEPT = []

        def test_grows(leak_check):
            leak_check(lambda: KEPT.append(os.open("/dev/null", 0)), units=20)

        def test_stays(leak_check):
            leak_check(lambda: None, units=20)
        """
    )
    accepted = alone.runpytest_subprocess("--leaks-accept", "being mended")
    accepted.assert_outcomes(passed=2)
    accepted.stdout.fnmatch_lines(
        ["1 known, 1 fine", "known leak: *test_grows: being mended; 1 fd *"]
    )
    path = alone.path / "leaks.toml"
    known = alone.runpytest_subprocess("--leaks-strict", "-v")
    known.assert_outcomes(passed=2)
    known.stdout.fnmatch_lines(["1 known, 1 fine", "fine: *test_stays: 20 units, at most * per *"])
    assert known.ret == pytest.ExitCode.OK
    module = alone.path / "test_known.py"
    module.write_text(module.read_text().replace("os.open", "[os.dup(0), os.dup(0)], os.open"))
    module.write_text(
        module.read_text().replace("append(", "append((").replace(", 0)),", ", 0))),")
    )
    outgrown = alone.runpytest_subprocess("-k", "grows")
    outgrown.assert_outcomes(failed=1, deselected=1)
    outgrown.stdout.fnmatch_lines(
        ["leaklab: leak: 3 fds per call*", "  known, but fails above 1* fd* per call: *leaks.toml"]
    )
    path.write_text(path.read_text().replace("test_grows", "test_stays"))
    strict = alone.runpytest_subprocess("--leaks-strict", "-k", "stays")
    strict.assert_outcomes(passed=1, deselected=1)
    assert strict.ret == pytest.ExitCode.TESTS_FAILED
    strict.stdout.fnmatch_lines(
        ["gone: test_known.py::test_stays no longer leaks: take * out of *"]
    )


START = """
import json, sys, time
start = time.process_time()
import pytest
from _pytest.config import get_config
before, config = set(sys.modules), get_config([])
begin = time.process_time()
import leaklab.pytest_plugin
config.pluginmanager.register(leaklab.pytest_plugin, "leaklab-measured")
share = (time.process_time() - begin) / (begin - start)
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps([share, sorted(new - {"_pytest", *sys.stdlib_module_names})]))
"""


def test_a_suite_that_asks_for_nothing_pays_a_twentieth_of_pytests_own_start() -> None:
    runs = [
        json.loads(
            subprocess.run(
                [sys.executable, "-c", START], capture_output=True, text=True, check=True
            ).stdout
        )
        for _ in range(3)
    ]
    # A share, and the least of three: what else runs on the machine is not the plugin's.
    assert min(share for share, _ in runs) < 0.05
    assert [imported for _, imported in runs] == [["leaklab"]] * 3
