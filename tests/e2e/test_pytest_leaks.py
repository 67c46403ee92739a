"""Marked tests recorded and judged in interpreters of their own, through pytest itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import psutil
import pytest
from interpreters import interpreter

# Asked for here: in a test of pytester's the home folder is another one.
OTHER = next(filter(None, map(interpreter, ("3.13", "3.12", "3.14"))), None)
OLD = interpreter("3.9")

SUITE = """
import os, signal
import pytest

KEPT = []

@pytest.fixture
def pages():
    KEPT.clear()
    yield KEPT

@pytest.mark.leaks(units=40)
@pytest.mark.parametrize("text", ["x y[z]" * 50])
def test_page(pages, text):
    pages.append(os.open("/dev/null", os.O_RDONLY))

@pytest.mark.leaks(unit=40)
def test_typo():
    pass

@pytest.mark.leaks
def test_crash():
    os.kill(os.getpid(), signal.SIGSEGV)

def test_unmarked_runs_here():
    assert "LEAKLAB_PYTEST_REQUEST" not in os.environ
"""


def test_a_leak_fails_and_a_crash_fails_as_itself(alone: pytest.Pytester) -> None:
    folder = alone.mkdir("a suite")
    (folder / "test_suite.py").write_text(SUITE)
    summary = alone.path / "step.md"
    alone._monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    result = alone.runpytest_subprocess(
        "-p", "rerunfailures", "--leaks-sarif=leaks.sarif", "--junitxml=junit.xml", "--reruns=0",
        "a suite",
    )  # fmt: skip
    result.assert_outcomes(passed=1, failed=3)
    result.stdout.fnmatch_lines(
        [
            "leaklab: leak: 1 fd per call* stay, 40 calls",
            "  descriptor: 1 per call, made at a suite/test_suite.py:* test_page: pages.append*",
            "  again: leaklab record -- -m pytest --leaks-here=40 'a suite/test_suite.py::*",
            "leaklab: marker leaks: unknown: unit; allowed: units, allow, reason",
            "the interpreter of the test was ended by SIGSEGV",
        ]
    )
    (leak,) = json.loads((alone.path / "leaks.sarif").read_text())["runs"][0]["results"]
    assert leak["message"]["text"].startswith("leaklab: leak: 1 fd per call")
    properties = {
        entry.get("name"): entry.get("value")
        for entry in ET.parse(alone.path / "junit.xml").iter("property")
    }
    assert properties["leaklab_verdict"] == "leak"
    assert "| leak | 1 fd per call" in summary.read_text()


def test_a_ratchet_with_workers_coverage_and_reruns(pytester: pytest.Pytester) -> None:
    # In a path with a space, and one test with an identifier of 300 bytes.
    made = pytester.makepyfile(
        test_two="""
        import pytest
        KEPT = []
        OLD = [bytearray(2000) for _ in range(100)]

        def test_grows():
            KEPT.append(bytearray(3000))

        def test_old_things_turn_into_new_ones():
            OLD[:] = [*OLD[1:], bytearray(2000)]

        @pytest.mark.flaky(reruns=1)
        @pytest.mark.parametrize("value", ["x" * 300])
        def test_stays(tmp_path, caplog, value):
            (tmp_path / "x").mkdir()  # its body cannot be called again: its fixtures are renewed
        """
    )
    made.rename(pytester.mkdir("a folder") / made.name)
    options = ["--leaks", "--leaks-units=25", "-p", "no:cacheprovider"]
    accepted = pytester.runpytest_subprocess(
        *options, "-n1", "--cov=test_two", "--leaks-accept=being mended", "-v"
    )
    accepted.assert_outcomes(passed=3)
    accepted.stdout.fnmatch_lines(["1 known, 2 fine", "known leak: *test_grows: being mended; *"])
    accepted.stdout.fnmatch_lines(["fine: *test_stays*: 25 units, at most * per call *"])
    assert 'reason = "being mended"' in (pytester.path / "leaks.toml").read_text()


KINDS = """
import os, unittest
import pytest
from hypothesis import given, settings, strategies

KEPT = []

@pytest.fixture
async def loop_wide():
    yield KEPT

@pytest.mark.asyncio
async def test_asyncio(loop_wide):
    loop_wide.append(os.dup(0))

@pytest.mark.anyio
async def test_anyio(anyio_backend):
    KEPT.append(os.dup(0))

@pytest.fixture
def anyio_backend():
    return "asyncio"

class TestCase(unittest.TestCase):
    def setUp(self):
        self.addCleanup(os.close, os.dup(0))
    def test_case(self):
        self.only_once = KEPT.append(os.dup(0))

class TestAsync(unittest.IsolatedAsyncioTestCase):
    async def test_async_case(self):
        KEPT.append(os.dup(0))

@settings(max_examples=10)
@given(strategies.integers())
def test_hypothesis(number):
    KEPT.append(os.dup(0))
"""


def test_leaks_of_every_kind_of_test_are_found(alone: pytest.Pytester) -> None:
    alone.makeini("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function")
    alone.makepyfile(test_kinds=KINDS)
    # Known ones: nobody asks for their evidence, which takes longer than to find them.
    result = alone.runpytest_subprocess(
        "-p", "asyncio", "-p", "anyio", "-p", "hypothesispytest",
        "--leaks", "--leaks-units=20", "--leaks-accept=known",
    )  # fmt: skip
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(["5 known"])


EXPECTED = """
import os, pytest

pytestmark = pytest.mark.leaks(units=20)
KEPT = []

@pytest.fixture
def database():
    pytest.skip("no database")

@pytest.mark.xfail(reason="a known bug", raises=ValueError)
def test_fails():
    int("x")

@pytest.mark.xfail(reason="another bug", raises=ValueError)
def test_fails_in_another_way():
    assert False

@pytest.mark.xfail(reason="it leaks")
def test_leaks():
    KEPT.append(os.dup(0))

@pytest.mark.xfail(reason="it leaked once", strict=True)
def test_leaks_no_more():
    pass

def test_says_so_itself():
    pytest.xfail("not today")

def test_marks_itself(request):
    request.node.add_marker(pytest.mark.xfail(reason="marked within", strict=True))

def test_skips(database):
    pass

@pytest.fixture
def forgets():
    KEPT.append(os.dup(0))

def test_stays_with_a_fixture_that_forgets(forgets):
    pass
"""


def test_a_marked_test_that_is_expected_to_fail_ends_as_without_the_mark(
    alone: pytest.Pytester,
) -> None:
    alone.makepyfile(test_expected=EXPECTED)
    result = alone.runpytest_subprocess("-rA", "-v")
    result.assert_outcomes(xfailed=3, failed=3, skipped=1, passed=1)
    result.stdout.fnmatch_lines_random(
        [
            "SKIPPED [[]1[]] test_expected.py:32: no database",
            "fine: *::test_leaks_no_more: 20 units, at most * or more of them",
            "fine: *that_forgets: 20 units, at most *; of its body alone: its fixtures were set *",
            "XFAIL test_expected.py::test_fails - a known bug",
            "XFAIL test_expected.py::test_leaks - it leaks",
            "XFAIL test_expected.py::test_says_so_itself - not today",
            "FAILED test_expected.py::test_fails_in_another_way - *",
            "FAILED test_expected.py::test_leaks_no_more - [[]XPASS(strict)[]] it leaked once",
            "FAILED test_expected.py::test_marks_itself - *[[]XPASS(strict)[]]*",
        ]
    )


NATIVE = """
import ctypes

C = ctypes.CDLL(None)
C.strdup.restype = ctypes.c_void_p

def test_copies():
    C.strdup(b"a line of some length " * 50)
"""


def test_what_a_library_in_c_keeps_is_named_by_its_function(alone: pytest.Pytester) -> None:
    alone.makepyfile(test_native=NATIVE)
    result = alone.runpytest_subprocess("--leaks", "--leaks-units=60")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "leaklab: leak: heap grows by 1.0? KiB per call*",
            "  test_native.py:* test_copies keeps 1.0? KiB per call",
            "  native memory, taken by *strdup*",
        ]
    )


def test_a_leak_in_a_worker_is_told(alone: pytest.Pytester) -> None:
    alone.makepyfile(
        """
        import multiprocessing, pytest

        def serve(requests, answers):
            kept = []
            while (number := requests.get()) is not None:
                kept.append(bytes(100_000))
                answers.put(number)

        @pytest.fixture
        def ask():
            context = multiprocessing.get_context("fork")
            requests, answers = context.SimpleQueue(), context.SimpleQueue()
            worker = context.Process(target=serve, args=(requests, answers), daemon=True)
            worker.start()
            yield lambda: (requests.put(1), answers.get())
            requests.put(None)
            worker.join()

        @pytest.mark.leaks(units=60)
        def test_asks(ask):
            ask()
        """
    )
    result = alone.runpytest_subprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        # Its heap with the line where it was seen for long enough, else resident memory alone.
        ["leaklab: leak: * of * grows by * KiB per call*, 60 calls"]
    )


def test_an_error_at_collection_is_what_pytest_says(alone: pytest.Pytester) -> None:
    alone.makepyfile("import nothing_of_this_name")
    result = alone.runpytest_subprocess("--leaks")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["E   ModuleNotFoundError: No module named 'nothing_of_this_name'"])


def test_ctrl_c_leaves_no_child(alone: pytest.Pytester) -> None:
    begun = alone.path / "begun"
    alone.makepyfile(
        f"""
        import pathlib, time, pytest

        @pytest.mark.leaks
        def test_waits():
            pathlib.Path({str(begun)!r}).touch()
            time.sleep(600)
        """
    )
    session = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "leaklab.pytest_plugin"],
        cwd=alone.path,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not begun.exists():
        assert session.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    children = psutil.Process(session.pid).children(recursive=True)
    assert children
    os.kill(session.pid, signal.SIGINT)
    output, _ = session.communicate(timeout=60)
    assert session.returncode == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in output
    gone, alive = psutil.wait_procs(children, timeout=10)
    assert not alive, gone


def test_another_interpreter_repeats_the_tests(pytester: pytest.Pytester) -> None:
    """One without leaklab: what runs there is found by its folder alone."""
    if OTHER is None:
        pytest.skip("no other CPython from 3.12 on here")
    there = pytester.mkdir("there")
    library = Path(pytest.__file__).parents[1]
    for name in ("_pytest", "iniconfig", "packaging", "pluggy*", "py.py", "pygments", "pytest"):
        for path in library.glob(name):
            (there / path.name).symlink_to(path)
    pytester._monkeypatch.setenv("PYTHONPATH", str(there))
    pytester.makepyfile(
        """
        import os, sys, pytest
        KEPT = []

        @pytest.mark.leaks(units=30)
        def test_version():
            KEPT.append(os.dup(0))
            assert sys.version_info >= (3, 12)
        """
    )
    result = pytester.runpytest_subprocess(f"--leaks-python={OTHER}")
    result.stdout.fnmatch_lines(
        [
            "leaklab: leak: 1 fd per call* stay, 30 calls",
            f"  again: leaklab record --python {OTHER} -- -m pytest --leaks-here=30 *",
        ]
    )


def test_what_runs_inside_is_read_by_old_interpreters() -> None:
    from leaklab.pytest_plugin.child import INSIDE

    python = interpreter("3.9")
    if python is None:
        pytest.skip("no CPython 3.9 here")
    program = (
        "import leaklab_origins as o; r = o.Origins(); r.install(); print(len(r.census()) > 0)"
    )
    done = subprocess.run(
        [OLD, "-B", "-c", program], cwd=INSIDE, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "True\n", done.stderr
    for path in INSIDE.glob("*.py"):
        code = f"compile(open({str(path)!r}).read(), 'x', 'exec')"
        subprocess.run([OLD, "-c", code], check=True, timeout=60)
