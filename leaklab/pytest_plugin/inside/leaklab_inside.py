"""Repeats the body of a test as units of work, with its fixtures set up once.

Runs in an interpreter of its own under a recorder, as ``-p leaklab_inside``, told by a file named
in the environment which test to run how often; or anywhere, for ``--leaks-here``.
"""

import functools
import gc
import inspect
import json
import os
import sys
import time

import pytest
from _pytest.runner import runtestprotocol

from leaklab import mark

try:
    from leaklab.pytest_plugin.inside import leaklab_origins, leaklab_processes
    from leaklab.pytest_plugin.inside.leaklab_calls import calls_of
    from leaklab.pytest_plugin.inside.leaklab_gathered import Gathered
except ImportError:
    # In an interpreter without leaklab this folder is on the path.
    import leaklab_origins  # type: ignore[import-not-found, no-redef, unused-ignore]
    import leaklab_processes  # type: ignore[import-not-found, no-redef, unused-ignore]
    from leaklab_calls import calls_of  # type: ignore[import-not-found, no-redef, unused-ignore]
    from leaklab_gathered import Gathered  # type: ignore[import-not-found, no-redef, unused-ignore]

REQUEST_VARIABLE = "LEAKLAB_PYTEST_REQUEST"
# What the session around may do and this one must not: it is one test, and nobody reads its files.
QUIET: dict = {
    "numprocesses": None,
    "dist": "no",
    "tx": [],
    "distload": False,
    "looponfail": False,
    "keyword": "",
    "markexpr": "",
    "lf": False,
    "failedfirst": False,
    "newfirst": False,
    "stepwise": False,
    "stepwise_skip": False,
    "cacheclear": False,
    "xmlpath": None,
    "report_log": None,
    "htmlpath": None,
    "basetemp": None,
    "reruns": 0,
    "usepdb": False,
    "trace": False,
    "memray": False,
    "durations": None,
    "deselect": None,
    "maxfail": 0,
}
LONGEST_WAIT = 4
# How many times as long as alone a call may take under pytest-timeout: its tracer alone makes it up
# to five times as long, and the machine is not its own.
LONGEST_TRACED = 10
UNREGISTERED = ("lfplugin", "nfplugin", "stepwiseplugin")
# How pytest begins to say that a test passes against its mark.
UNEXPECTED = "[XPASS(strict)]"


class Repeater:
    """Makes the body of every test run ``units`` times, each ended by a mark.

    And up to ``most_units`` times as long as the body takes no more than ``seconds`` of processor
    time: how many it comes to must not depend on what else the machine does, or on what it costs to
    look. A body that mostly waits may take ``LONGEST_WAIT`` times as long by the clock.

    ``folder``: where the memory of child processes is written to, unit by unit.
    ``renews``: the fixtures of the test's own are set up anew for each unit. So they are for a
    ``unittest`` method in any case: what it leaves on its instance, its cleanups for one, goes with
    the instance.
    """

    def __init__(self, units, most_units=0, seconds=0.0, renews=False, folder=None):
        self.units = units
        self._children = None if folder is None else Children(folder)
        self.renews = renews
        self.most_units = most_units
        self.seconds = seconds
        self.done = 0
        self._begun = 0.0, 0.0
        self.took_seconds = 0.0
        self._origins = None
        # How many users each has had by the end of the first unit.
        self._fixtures = {}
        self.left = []
        # The test and settings that pytest-timeout is to end it by.
        self._limit = None

    def note_origins(self):
        """Find out who makes what the units leave behind."""
        self._origins = leaklab_origins.Origins()
        self._origins.install()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item, nextitem):
        """Run all of the test as often as that, where its body alone cannot be repeated."""
        if not (self.renews or is_test_case(item)):
            return None
        hook, properties = item.ihook, len(item.user_properties)
        hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        gathered = Gathered()
        self._begin()
        while self._goes_on():
            gathered.begin_call()
            # With a next item in the same class: what is the class's, or wider, stays.
            reports = runtestprotocol(item, log=False, nextitem=item.parent)
            if not all(report.passed for report in reports):
                break
            # What a report would have taken along.
            del item.user_properties[properties:], item._report_sections[:]
            self._drop_ends()
            self._end_unit()
        self._end()
        for report in reports:
            hook.pytest_runtest_logreport(report=report)
        item.session._setupstate.teardown_exact(nextitem)
        hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_timeout_set_timer(self, item, settings):
        """Give a call as long as it may take here, where pytest-timeout is to end the test."""
        if self._limit is not None and settings is self._limit[1]:
            return None
        longer = settings._replace(timeout=settings.timeout * LONGEST_TRACED)
        self._limit = item, longer
        return item.ihook.pytest_timeout_set_timer(item=item, settings=longer)

    def _renew_timer(self):
        """Have the time that one test may take begin anew: each call is one."""
        if self._limit is not None:
            item, settings = self._limit
            item.ihook.pytest_timeout_cancel_timer(item=item)
            item.ihook.pytest_timeout_set_timer(item=item, settings=settings)

    def pytest_fixture_setup(self, fixturedef):
        """Remember the fixtures that are in use."""
        self._fixtures.setdefault(fixturedef, None)

    def _drop_ends(self):
        """Have fixtures forget their users: one of a wider scope keeps every one it ever had."""
        for fixture, count in self._fixtures.items():
            ends = getattr(fixture, "_finalizers", None)
            if isinstance(ends, list):
                self._fixtures[fixture] = count = len(ends) if count is None else count
                del ends[count:]

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item):
        """Put the repeated body in the place of the test's own."""
        body = getattr(item, "obj", None)
        if body is None or self.renews or is_test_case(item):
            yield
            return
        is_coroutine = inspect.iscoroutinefunction(body)
        item.obj = self._awaiting(item, body) if is_coroutine else self._calling(item, body)
        yield

    def _calling(self, item, body):
        @functools.wraps(body)
        def repeated(*args, **kwargs):
            with calls_of(item, kwargs) as call:
                self._begin()
                while self._goes_on():
                    with call() as own:
                        body(*args, **own)
                    self._end_unit()
                self._end()

        return repeated

    def _awaiting(self, item, body):
        @functools.wraps(body)
        async def repeated(*args, **kwargs):
            with calls_of(item, kwargs) as call:
                self._begin()
                while self._goes_on():
                    with call() as own:
                        await body(*args, **own)
                    self._end_unit()
                self._end()

        return repeated

    def _begin(self):
        self.done, self.took_seconds = 0, 0.0
        # From here on it is the test that is recorded, and not how pytest came to it.
        connect()
        self._renew_timer()
        self._before = self._origins.census() if self._origins else {}
        # What was there before is not looked at again whenever garbage is collected at a mark.
        if self._children is not None:
            self._children.begin()
        gc.collect()
        gc.freeze()
        self._begun = time.monotonic(), time.process_time()

    def _goes_on(self):
        """Whether another unit is due: further ones are taken while they cost next to nothing."""
        if self.done < self.units:
            return True
        return self.done < self.most_units and self.took_seconds < self.seconds

    def _end_unit(self):
        clock, processor = self._begun
        waited = (time.monotonic() - clock) / LONGEST_WAIT
        self.took_seconds += max(time.process_time() - processor, waited)
        self.done += 1
        if self._children is not None:
            self._children.look(self.done)
        self._renew_timer()
        mark()
        self._begun = time.monotonic(), time.process_time()

    def _end(self):
        gc.unfreeze()
        probe = sys.modules.get("_leaklab_probe.begin")
        if probe is not None:
            probe.finish()
        if self._origins:
            now = self._origins.census()
            self.left = [one for key, one in now.items() if key not in self._before]


class Children:
    """Writes after each unit what memory every child process has, and keeps nothing of it."""

    def __init__(self, folder):
        self._folder = folder
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")
        self._file = None

    def begin(self):
        """Open the file before anything is counted; once, however often a test is run."""
        if self._file is None:
            path = os.path.join(self._folder, "children-%d.txt" % os.getpid())
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def look(self, unit):
        """Write a row for each descendant there is."""
        for pid in leaklab_processes.descendant_pids():
            try:
                with open("/proc/%d/statm" % pid, "rb", buffering=0) as file:
                    pages = int(file.read().split()[1])
            except (OSError, ValueError, IndexError):
                continue
            if pages:
                os.write(self._file, b"%d %d %d\n" % (unit, pid, pages * self._page_bytes))


def connect():
    """Have the recording begin, if there is one and it has not."""
    probe = sys.modules.get("_leaklab_probe.begin")
    if probe is not None and probe.LATER_VARIABLE in os.environ:
        del os.environ[probe.LATER_VARIABLE]
        # Imports bring tens of thousands of stacks: to walk them all, and to copy the process,
        # costs more than the test, and nothing is said of their growth.
        probe.connect(by_marks=True)


def is_test_case(item):
    """Return whether an item is a method of a `unittest.TestCase`."""
    return any(part.__name__ == "TestCaseFunction" for part in type(item).__mro__)


class Reporter:
    """Selects the one test, and leaves what came of it in the folder of the request."""

    def __init__(self, config, request, repeater):
        self._config = config
        self._request = request
        self._repeater = repeater
        self._pid = os.getpid()
        self._unexpected = ""
        self._result = {"outcome": "missing", "text": "", "when": ""}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self):
        """Begin with the test's modules where what they make must be known as well.

        What is freed was seen being made then: a list of old things that turn into new ones would
        look like growth else.
        """
        if self._request["early"]:
            connect()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config, items):
        """Keep the test that was asked for."""
        kept = [item for item in items if item.nodeid == self._request["test"]]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept[:1]])
        items[:] = kept[:1]

    def pytest_collectreport(self, report):
        """Keep the error of a file that cannot be collected."""
        if report.failed:
            self._result = {"outcome": "failed", "text": report.longreprtext, "when": "collect"}

    def pytest_internalerror(self, excrepr):
        """Keep what ended the session amid it: that is neither a fault of the test nor its end."""
        self._result = {"outcome": "crashed", "text": str(excrepr), "when": "call"}

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self):
        """Let a test pass that passes against its mark: the session around may find that it leaks.

        The text is kept for it, as its own marks need not have said so.
        """
        outcome = yield
        report = outcome.get_result()
        if report.failed and str(getattr(report, "longrepr", "")).startswith(UNEXPECTED):
            report.outcome = "passed"
            self._unexpected = report.longrepr

    def pytest_runtest_logreport(self, report):
        """Keep the first part that did not pass."""
        ended = self._result["outcome"] in ("failed", "skipped", "xfailed")
        if ended and self._result["when"] != "collect":
            return
        outcome, text = report.outcome, report.longreprtext if report.failed else ""
        if report.skipped and hasattr(report, "wasxfail"):
            outcome, text = "xfailed", report.wasxfail
        elif report.skipped and isinstance(report.longrepr, tuple):
            text = report.longrepr[2]
        elif report.passed:
            text = self._unexpected
        self._result = {"outcome": outcome, "text": text, "when": report.when}

    def pytest_sessionfinish(self):
        """Write the result; a forked child of the test writes none."""
        if os.getpid() != self._pid:
            return
        if "hypothesis" not in sys.modules:
            # Its plugin would import all of it for the summary, which nobody reads here.
            manager = self._config.pluginmanager
            if manager.hasplugin("hypothesispytest"):
                manager.unregister(name="hypothesispytest")
        made = leaklab_origins.made_rows(self._repeater.left, max(self._repeater.done, 1))
        repeater = self._repeater
        result = dict(self._result, units=repeater.done, seconds=repeater.took_seconds, made=made)
        path = os.path.join(self._request["folder"], "result-%d.json" % self._pid)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(result, file)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """Undo what options of the session around would do here."""
    if REQUEST_VARIABLE not in os.environ:
        return
    with open(os.environ[REQUEST_VARIABLE], encoding="utf-8") as file:
        config._leaklab_request = json.load(file)
    for name, value in QUIET.items():
        if hasattr(config.option, name):
            setattr(config.option, name, value)
    config.args = [config._leaklab_request["file"]]


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    """Take up the request."""
    request = getattr(config, "_leaklab_request", None)
    if request is None:
        return
    for name in UNREGISTERED:
        plugin = config.pluginmanager.getplugin(name)
        if plugin is not None:
            config.pluginmanager.unregister(plugin)
    repeater = Repeater(
        request["units"],
        request["most_units"],
        request["seconds"],
        request["renews"],
        request["folder"],
    )
    if request["origins"]:
        repeater.note_origins()
    config.pluginmanager.register(repeater, "leaklab-repeater")
    config.pluginmanager.register(Reporter(config, request, repeater), "leaklab-reporter")
    hypothesis = sys.modules.get("hypothesis")
    if hypothesis is not None:
        # The same few examples in every unit: what it remembers of many is no leak of the test's.
        hypothesis.settings.register_profile(
            "leaklab", database=None, derandomize=True, max_examples=5, deadline=None
        )
        hypothesis.settings.load_profile("leaklab")
