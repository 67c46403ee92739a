"""A leak guard for test suites, loaded by pytest of its own accord wherever leaklab is installed.

``--leak-guard`` looks after every test for what it left behind; ``@pytest.mark.leaks`` and
``--leaks`` repeat a test's body in an interpreter of its own and judge what grows; the fixture
``leak_check`` (or ``leaklab_check``, a name that no other plugin takes) does so for a callable in
the test's own interpreter. A suite that uses none of them
pays for this module alone: everything else is imported when it is first needed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from leaklab.pytest_plugin.check import LeakCheck

# Set in the interpreter that repeats a test: there this plugin stands aside.
REQUEST_VARIABLE = "LEAKLAB_PYTEST_REQUEST"
EVERYTHING = ""
MARKER = (
    "leaks(units, allow, reason): repeat the test's body, its fixtures set up once, in an "
    "interpreter of its own and fail when something keeps growing; allow={resource: growth per "
    "unit} needs its reason"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options; what they mean is checked when the session begins."""
    group = parser.getgroup("leaklab", "leaks")
    add = group.addoption
    add(
        "--leak-guard",
        action="store_true",
        help="fail tests that leave something behind; one that fails, errs or is expected to fail "
        "answers only for the wider fixtures that end with it",
    )
    add(
        "--leak-guard-grace",
        metavar="SECONDS",
        default="0.5",
        help="how long what a test left may take to go away (0.5)",
    )
    add(
        "--leaks",
        nargs="?",
        const=EVERYTHING,
        metavar="EXPRESSION",
        help="judge tests as if marked with `leaks`: all, or those an expression as of -k selects; "
        "their bodies are repeated, their fixtures set up once",
    )
    add("--leaks-strict", action="store_true", help="inconclusive tests fail too")
    add("--leaks-units", metavar="COUNT", help="how often a body is repeated (until decided)")
    add("--leaks-python", metavar="PATH", help="the interpreter to repeat tests in (this one)")
    add(
        "--leaks-report",
        metavar="FOLDER",
        help="keep the runs of marked tests there, with a page for each leak; leak_check, which "
        "asks in the test's own interpreter, records none",
    )
    add("--leaks-sarif", metavar="FILE", help="write the leaks as SARIF")
    add(
        "--leaks-known",
        metavar="FILE",
        help="the known leaks (leaks.toml); one fails above twice the bytes per call that were "
        "accepted, or above as many descriptors, sockets, threads, tasks or children",
    )
    add("--leaks-accept", metavar="REASON", help="add what leaks now, and how much, to the known")
    add("--leaks-here", metavar="UNITS", help="repeat the body in this process: to record it")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(args: list[str]) -> None:
    """Keep a bare ``--leaks`` from taking the path behind it for its expression."""
    args[:] = ["--leaks=" if word == "--leaks" else word for word in args]


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and the parts that the options ask for."""
    config.addinivalue_line("markers", MARKER)
    if REQUEST_VARIABLE in os.environ:
        return
    if config.option.leaks_here is not None:
        from leaklab.pytest_plugin.inside.leaklab_inside import Repeater
        from leaklab.pytest_plugin.settings import count_of

        units = count_of("--leaks-here", config.option.leaks_here, least=1)
        config.pluginmanager.register(Repeater(units), "leaklab-repeater")
        return
    option = config.option
    checked = (option.leaks_units, option.leaks_report, option.leaks_python)
    if any(value is not None for value in checked):
        from leaklab.pytest_plugin.settings import check_options

        check_options(option, config.invocation_params.dir)
    _configure_summary(config)
    if config.option.leak_guard:
        from leaklab.pytest_plugin.guard import Guard
        from leaklab.pytest_plugin.settings import seconds_of

        grace = seconds_of("--leak-guard-grace", config.option.leak_guard_grace)
        config.pluginmanager.register(Guard(config, grace), "leaklab-guard")


def summed_up(config: pytest.Config) -> None:
    """Register the ratchet and, outside workers of xdist, what sums the session up; once."""
    from leaklab.pytest_plugin.known import FILE_NAME, KnownLeaks
    from leaklab.pytest_plugin.summary import Summary

    manager = config.pluginmanager
    if manager.hasplugin("leaklab-known"):
        return
    path = (
        config.invocation_params.dir / config.option.leaks_known
        if (config.option.leaks_known)
        else config.rootpath / FILE_NAME
    )
    if config.option.leaks_known and config.option.leaks_accept is None and not path.exists():
        raise pytest.UsageError(
            f"leaklab: --leaks-known: {path}: no such file; name one that is there, or add "
            "--leaks-accept=REASON to make it"
        )
    known = KnownLeaks(path, config.option.leaks_accept)
    manager.register(known, "leaklab-known")
    if not hasattr(config, "workerinput"):
        manager.register(Summary(config, known), "leaklab-summary")


def _configure_summary(config: pytest.Config) -> None:
    """Sum up from the start where outcomes come from elsewhere: a controller of xdist."""
    option = config.option
    named = (option.leaks_known, option.leaks_accept, option.leaks_sarif)
    if (
        option.leaks is not None
        or any(value is not None for value in named)
        or (getattr(option, "numprocesses", None))
    ):
        summed_up(config)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Load the part that judges marked tests where there are any."""
    asked = config.option.leaks is not None
    if REQUEST_VARIABLE in os.environ or config.option.leaks_here is not None:
        return
    if asked or any(item.get_closest_marker("leaks") for item in items):
        from leaklab.pytest_plugin.items import load

        summed_up(config)
        load(config, items)
    if any("leak_check" in getattr(item, "fixturenames", ()) for item in items):
        from leaklab.pytest_plugin.replaced import tell_of_other

        tell_of_other(config, items)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of xdist how the session was started: it does not know."""
    params = node.config.invocation_params
    node.workerinput["leaklab"] = {
        "arguments": [str(word) for word in params.args],
        "folder": str(params.dir),
    }


@pytest.fixture
def leak_check(request: pytest.FixtureRequest) -> LeakCheck:
    """Check that a callable or coroutine function does not leak, in this interpreter.

    ``leak_check(work, units=60)`` calls ``work`` so often, after a warm-up, and fails the test when
    descriptors, sockets, threads, tasks, children or the traced heap keep growing.
    """
    return _check(request)


@pytest.fixture
def leaklab_check(request: pytest.FixtureRequest) -> LeakCheck:
    """Check as ``leak_check`` does, where another plugin has a fixture of that name."""
    return _check(request)


def _check(request: pytest.FixtureRequest) -> LeakCheck:
    from leaklab.pytest_plugin.check import LeakCheck

    summed_up(request.config)
    return LeakCheck(request.node)


@pytest.fixture(scope="session")
def expect_remaining(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Say what a test leaves behind on purpose: ``expect_remaining("worker-*", reason="…")``.

    The name is a pattern as of a shell, for the name or the kind of what remains. Called in a test
    it holds for that test, in a fixture of a wider scope for the session.
    """
    from leaklab.pytest_plugin.settings import remaining_pattern

    guard: Any = request.config.pluginmanager.getplugin("leaklab-guard")

    def expect(name: str, *, reason: str = "") -> None:
        remaining_pattern(name, reason)
        if guard is not None:
            guard.expect(name, reason)

    return expect
