"""Other plugins: one with a fixture of the name of ours, and one that ends tests by the clock."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from leaklab.pytest_plugin.items import Leaks

OTHER = """
import pytest

@pytest.fixture
def leak_check():
    return lambda work, **options: None
"""

ASKS = """
import os
KEPT = []

def work():
    KEPT.append(os.dup(0))

def test_asks(leak_check):
    leak_check(work, units=20)

def test_asks_again(leak_check):
    leak_check(work, units=20)

def test_asks_by_the_other_name(leaklab_check):
    leaklab_check(work, units=20)
"""


@pytest.fixture
def beside(alone: pytest.Pytester) -> pytest.Pytester:
    """A suite beside an installed plugin that is loaded after ours."""
    alone.makepyfile(other_leaks=OTHER, test_asks=ASKS)
    metadata = alone.mkdir("other_leaks-1.0.dist-info")
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: other-leaks\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[pytest11]\nothers = other_leaks\n")
    alone._monkeypatch.setenv("PYTHONPATH", str(alone.path), prepend=":")
    return alone


def test_a_fixture_of_another_plugin_in_our_place_is_told(beside: pytest.Pytester) -> None:
    result = beside.runpytest_subprocess("-p", "others", "-W", "error")
    result.assert_outcomes(passed=2, failed=1, warnings=1)
    result.stdout.fnmatch_lines(
        [
            "*LeaksFixtureWarning: leaklab: leak_check is the fixture of another plugin here: "
            "others; ask for leaklab_check, or start pytest with -p no:others",
            "FAILED test_asks.py::test_asks_by_the_other_name *",
        ]
    )


def test_no_word_where_ours_is_asked_or_the_suite_has_its_own(beside: pytest.Pytester) -> None:
    result = beside.runpytest_subprocess()
    result.assert_outcomes(failed=3, warnings=0)
    beside.makeconftest(OTHER)
    result = beside.runpytest_subprocess("-p", "others")
    result.assert_outcomes(passed=2, failed=1, warnings=0)


def test_no_plugin_has_a_say_in_the_tests_of_a_notebook(beside: pytest.Pytester) -> None:
    notebook = Path(__file__).parents[2] / "notebooks" / "12-what-tests-miss.ipynb"
    (cell,) = [
        "".join(cell["source"])
        for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        if "examples/test_what_tests_miss.py" in "".join(cell["source"])
    ]
    beside._monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    code = cell.replace("examples/test_what_tests_miss.py", "test_asks.py")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=beside.path, capture_output=True, text=True, check=True
    )
    assert "3 failed" in done.stdout


# What pytest-timeout does, without a clock: each setting of its timer is written down.
TIMEOUTS = """
import collections
import pytest

Settings = collections.namedtuple("Settings", "timeout method")

class Hooks:
    @staticmethod
    @pytest.hookspec(firstresult=True)
    def pytest_timeout_set_timer(item, settings):
        pass
    @staticmethod
    @pytest.hookspec(firstresult=True)
    def pytest_timeout_cancel_timer(item):
        pass

def pytest_addhooks(pluginmanager):
    pluginmanager.add_hookspecs(Hooks)

@pytest.hookimpl(trylast=True)
def pytest_timeout_set_timer(item, settings):
    print("set", settings.timeout)
    return True

@pytest.hookimpl(trylast=True)
def pytest_timeout_cancel_timer(item):
    print("cancelled")
    return True

@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    hook = item.config.hook
    hook.pytest_timeout_set_timer(item=item, settings=Settings(2, "signal"))
    result = yield
    hook.pytest_timeout_cancel_timer(item=item)
    return result
"""
TIMED = """
import unittest

def test_function():
    print("call")

class Case(unittest.TestCase):
    def test_method(self):
        print("call")
"""


@pytest.mark.parametrize("test", ["test_function", "Case::test_method"])
def test_the_time_of_a_test_is_that_of_one_call(alone: pytest.Pytester, test: str) -> None:
    alone.makepyfile(timeouts=TIMEOUTS, test_timed=TIMED)
    alone.syspathinsert()
    options = ("-p", "leaklab.pytest_plugin", "-p", "timeouts", "-s", f"test_timed.py::{test}")
    result = alone.runpytest_inprocess("--leaks-here=3", *options)
    result.assert_outcomes(passed=1)
    said = re.findall(r"\b(call|cancelled|set 20)$", str(result.stdout), re.MULTILINE)
    anew = ["cancelled", "set 20"]
    assert said == ["set 20", *anew, *["call", *anew] * 3, "cancelled"]


def test_the_calls_of_a_test_together_have_no_time_to_keep() -> None:
    judging = SimpleNamespace(chosen={"test_a.py::test_judged"})
    asked = [SimpleNamespace(nodeid=f"test_a.py::test_{name}") for name in ("judged", "other")]
    assert [Leaks.pytest_timeout_set_timer(judging, one) for one in asked] == [True, None]  # type: ignore[arg-type]
