"""Marked tests: each is judged from its body repeated in an interpreter of its own."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from leaklab.errors import LeaklabError
from leaklab.present.formatting import holders_worth_showing, worth_showing
from leaklab.pytest_plugin.child import Amount, Child, ChildResult, reproduction
from leaklab.pytest_plugin.children import judged_children
from leaklab.pytest_plugin.inside.leaklab_inside import is_test_case
from leaklab.pytest_plugin.looks import (
    FIRST_LOOK,
    LONGEST_LOOK,
    MOST_UNITS,
    SECOND_LOOK,
    Look,
    ever_slower,
    needs_the_longest,
    rare,
    slowed,
    still_rising,
)
from leaklab.pytest_plugin.outcome import BOUNDED, INCONCLUSIVE, LEAK, Outcome, Site, judged
from leaklab.pytest_plugin.settings import Settings, SettingsError, count_of, settings_of
from leaklab.pytest_plugin.telling import is_known, tell
from leaklab.pytest_plugin.texts import made_text
from leaklab.pytest_plugin.waiting import Waiting
from leaklab.store.location import absolute_path
from leaklab.verdict.native import native_growth

if TYPE_CHECKING:
    from leaklab.results.run import Run
    from leaklab.verdict.resources import ResourceVerdict

# How many units are enough to see who makes what is left.
ORIGIN_UNITS = 20
MOST_SITES = 5
# What a fine test is not known of.
BODY_ALONE = "of its body alone: its fixtures were set up once"
# Nothing but the traced pass: the heap to the byte, and all that is counted. Resident memory is the
# tracer's as well there; where that leaves a doubt the test is run without it too.
HEAP_ALONE: tuple[str, ...] = ("explain",)
WHOLE: tuple[str, ...] = ("measure", "explain")


def load(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Register what judges the tests of a session that are marked or selected by ``--leaks``."""
    chosen = selected(config, items)
    plugin: Any = config.pluginmanager.getplugin("leaklab-leaks")
    if plugin is None:
        plugin = Leaks(config)
        config.pluginmanager.register(plugin, "leaklab-leaks")
    plugin.chosen.update(item.nodeid for item in chosen)


def selected(config: pytest.Config, items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return the marked test functions, and those ``--leaks`` selects; pytest.UsageError."""
    expression = config.option.leaks
    functions = [item for item in items if isinstance(item, pytest.Function)]
    marked = [item for item in functions if item.get_closest_marker("leaks")]
    if expression is None:
        return list(marked)
    if not expression:
        return list(functions)
    # The language of -k, from where pytest has it.
    from _pytest.mark import KeywordMatcher
    from _pytest.mark.expression import Expression

    try:
        compiled = Expression.compile(expression)
    except SyntaxError as problem:
        raise pytest.UsageError(f"leaklab: --leaks: {expression}: {problem}") from None
    asked = [item for item in functions if compiled.evaluate(KeywordMatcher.from_item(item))]
    return list(dict.fromkeys([*marked, *asked]))


class Leaks:
    """Takes the place of the body of chosen tests; ``chosen`` holds their ids."""

    def __init__(self, config: pytest.Config) -> None:
        from leaklab.scratch import Scratch

        option = config.option
        self.chosen: set[str] = set()
        # Tests that are repeated with their fixtures: their body alone fails when called again.
        self._renewed: set[str] = set()
        # Of the last look: the memory of the test's children.
        self._children: ResourceVerdict | None = None
        self._units = (
            None if option.leaks_units is None else count_of("--leaks-units", option.leaks_units)
        )
        self._scratch = Scratch("pytest")
        given = getattr(config, "workerinput", {}).get("leaklab", {})
        pages = option.leaks_report
        folder = given.get("folder") or str(config.invocation_params.dir)
        self._pages = Path(absolute_path(Path(folder, pages))) if pages else None
        store = self._pages / "runs" if self._pages else self._scratch.path / "runs"
        requests = Path(tempfile.mkdtemp(dir=self._scratch.path))
        self._child = Child(
            given.get("arguments") or [str(word) for word in config.invocation_params.args],
            folder,
            option.leaks_python,
            str(store),
            requests,
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        """Let the test set up nothing here: its fixtures belong into the other interpreter."""
        if item.nodeid in self.chosen:
            item.runtest = partial(self._judge, item)  # type: ignore[method-assign]
            if isinstance(item, pytest.Function):
                item.fixturenames = []

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_timeout_set_timer(self, item: pytest.Item) -> bool | None:
        """Keep pytest-timeout from ending a test for the calls of its body together.

        The time is for one, and is kept where they are made.
        """
        return True if item.nodeid in self.chosen else None

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Leave nothing behind."""
        self._scratch.close()

    def _judge(self, item: pytest.Item) -> None:
        settings = self._settings(item)
        self._waiting = Waiting(item)
        try:
            outcome = self._outcome(item, settings)
        except LeaklabError as problem:
            pytest.fail(f"leaklab: {problem}", pytrace=False)
        if outcome.verdict == BOUNDED and item.nodeid not in self._renewed and has_fixtures(item):
            outcome = replace(outcome, reason=BODY_ALONE)
        tell(item, item.nodeid, outcome)

    def _settings(self, item: pytest.Item) -> Settings:
        marker = item.get_closest_marker("leaks")
        try:
            settings = settings_of(marker.args, marker.kwargs) if marker else Settings()
        except SettingsError as problem:
            fault = str(problem)
        else:
            return settings
        return pytest.fail(f"leaklab: marker leaks: {fault}", pytrace=False)

    def _outcome(self, item: pytest.Item, settings: Settings) -> Outcome:
        fixed = settings.units or self._units
        look, passes = self._decided(item, settings, fixed)
        if fixed is None and look.outcome.verdict == BOUNDED:
            return rare(look.outcome) if still_rising(look.run, materially=True) else look.outcome
        if look.outcome.verdict != LEAK:
            return look.outcome
        look = replace(look, outcome=replace(look.outcome, sites=sites_of(look.run)))
        if is_known(item, item.nodeid, look.outcome):
            return look.outcome
        return self._confirmed(item, settings, fixed, look, passes)

    def _decided(
        self, item: pytest.Item, settings: Settings, fixed: int | None
    ) -> tuple[Look, Sequence[str]]:
        """The look that says what the test does, as far as its cost allows, and its passes."""
        passes, amount = HEAP_ALONE, Amount(fixed) if fixed else FIRST_LOOK
        look = self._look(item, amount, settings, passes)
        if fixed is None and look.outcome.verdict == BOUNDED and still_rising(look.run):
            # Growth by a step now and then is flat most of the time: it takes a longer look.
            amount = Amount(look.next_units(LONGEST_LOOK))
            look = self._look(item, amount, settings, passes)
        if look.outcome.verdict == BOUNDED and self._resident_is_in_doubt(look.run, settings):
            # The tracer's own memory, or memory behind its back: what is not traced tells.
            passes = WHOLE
            look = self._look(item, amount, settings, passes)
        if fixed is None and look.outcome.verdict == INCONCLUSIVE:
            needed = look.outcome.needed_units or MOST_UNITS + 1
            if needed > MOST_UNITS:
                # An estimate from few figures: what a longer look costs at most is spent on it.
                needed = look.next_units(SECOND_LOOK)
            if needed > look.units:
                look = self._look(item, Amount(needed), settings, passes)
        return look, passes

    def _confirmed(
        self,
        item: pytest.Item,
        settings: Settings,
        fixed: int | None,
        look: Look,
        passes: Sequence[str],
    ) -> Outcome:
        """What is left of a leak after looks with more calls, with what keeps it."""
        graphs = "fork" if _of_memory(look.outcome) else "never"
        # Each look that says leak is looked at again, and only the last needs what costs most.
        waits = native_growth(look.run.data) is not None

        def again(units: int, *, native: bool = False) -> Look:
            held = "never" if waits and not native else graphs
            return self._look(item, Amount(units), settings, passes, held, native=native)

        if fixed is None:
            first, look = look, again(look.units_to_confirm(SECOND_LOOK))
            if needs_the_longest(first, look):
                last = look if look.outcome.verdict == LEAK else first
                look = again(look.units_to_confirm(LONGEST_LOOK))
                if look.outcome.verdict == LEAK and slowed(last.outcome, look.run):
                    return ever_slower(look.outcome)
        elif graphs != "never" and not waits:
            # Object graphs cost more than all the rest: only a leak is worth them.
            passes = HEAP_ALONE if self._pages is None else WHOLE
            run, _ = self._record(item, Amount(look.units), passes, graphs)
            look = replace(look, run=run)
        if look.outcome.verdict == LEAK and native_growth(look.run.data) is not None:
            # No Python object holds what a library in C keeps; its function says what that is,
            # and whether it is known to end.
            look = again(look.units, native=True)
        if look.outcome.verdict != LEAK:
            return look.outcome
        sites = look.outcome.sites or sites_of(look.run)
        found = replace(look.outcome, sites=sites, native=native_growth(look.run.data) or "")
        return self._with_evidence(item, found, look.run)

    def _with_evidence(self, item: pytest.Item, outcome: Outcome, run: Run) -> Outcome:
        if _of_memory(outcome):
            outcome = replace(outcome, holders=holders_of(run))
        if any(entry.resource.endswith("_count") for entry in outcome.grown):
            outcome = replace(outcome, made=self._made(item))
        again = reproduction(item, outcome.units, self._child.folder, self._child.python)
        return replace(outcome, again=again, page=self._page(run))

    def _look(
        self,
        item: pytest.Item,
        amount: Amount,
        settings: Settings,
        passes: Sequence[str],
        graphs: str = "never",
        *,
        native: bool = False,
    ) -> Look:
        # What decides has to see from the start what is freed later. The first look at a test that
        # most often is fine does not: imports cost twice as much under the tracer.
        early = amount != FIRST_LOOK
        how = {"early": early, "native": native}
        run, result = self._record(item, amount, passes, graphs, **how)
        ill = result.outcome in ("failed", "xfailed")
        if ill and result.units and item.nodeid not in self._renewed:
            # It passes once, and not on fixtures that it has used already.
            self._renewed.add(item.nodeid)
            run, result = self._record(item, amount, passes, graphs, **how)
        _require(item, result)
        # Of children by the units of the test, not by seconds as they mark none.
        resources = [
            entry
            for entry in run.verdict().resources
            if entry.role == "main" or entry.name != "rss_bytes"
        ]
        self._children = judged_children(result.children, result.units)
        if self._children is not None and passes == WHOLE:
            resources.append(self._children)
        outcome = judged(resources, result.units, settings.allow)
        return Look(run, outcome, result.seconds)

    def _record(
        self,
        item: pytest.Item,
        amount: Amount,
        passes: Sequence[str],
        graphs: str = "never",
        **how: bool,
    ) -> tuple[Run, ChildResult]:
        renews = item.nodeid in self._renewed
        return self._child.record(
            item, amount, passes, progress=self._waiting, graphs=graphs, renews=renews, **how
        )

    def _resident_is_in_doubt(self, run: Run, settings: Settings) -> bool:
        """Whether resident memory grew, or may have, in a traced process or one of its children."""
        if "rss_bytes" in settings.allow:
            return False
        resident = run.verdict().resource("rss_bytes")
        listed = resident is not None and not resident.decides and resident.verdict != BOUNDED
        return listed or (self._children is not None and self._children.verdict != BOUNDED)

    def _made(self, item: pytest.Item) -> tuple[str, ...]:
        _, result = self._record(item, Amount(ORIGIN_UNITS), ("measure",), origins=True)
        return tuple(made_text(row) for row in result.made)

    def _page(self, run: Run) -> str:
        if self._pages is None:
            return ""
        from leaklab.report import render_run

        name = str(run.meta["name"])
        return str(render_run(run, self._pages / f"{name}.html"))


def has_fixtures(item: pytest.Item) -> bool:
    """Return whether a test uses fixtures that the repeated body leaves as they are.

    Those are of its own scope: the ones of a wider scope are set up once in any case. A method of
    ``unittest`` is repeated with them.
    """
    info: Any = getattr(item, "_fixtureinfo", None)
    if info is None or is_test_case(item):
        return False
    return any(made[-1].scope == "function" for made in info.name2fixturedefs.values() if made)


def _of_memory(outcome: Outcome) -> bool:
    """Whether the test's own process keeps memory: what its children keep is not among its own."""
    return any(
        entry.resource.endswith("_bytes") and entry.role == "main" for entry in outcome.grown
    )


def sites_of(run: Run) -> tuple[Site, ...]:
    """Return the lines of a run that allocate what stays, most first, with their texts."""
    sources = run.data.sources
    keys = zip(sources["file"], sources["line"], strict=True)
    text_of = dict(zip(keys, sources["text"], strict=True))
    # A process without marks of its own was judged by seconds: that is no rate per call.
    leaking = [entry for entry in run.verdict().resources if entry.verdict == LEAK]
    by_call = all(entry.unit == "iteration" for entry in leaking if entry.name == "heap_bytes")
    return tuple(
        Site(
            str(row["file"]),
            int(row["line"]),
            str(row["function"]),
            float(row["rate"]) if by_call else math.nan,
            str(text_of.get((row["file"], row["line"]), "")).strip(),
        )
        for row in worth_showing(run).head(MOST_SITES).to_dict("records")
    )


def holders_of(run: Run) -> tuple[str, ...]:
    """Return the paths that hold what grows in a run with object graphs, most first."""
    paths = holders_worth_showing(run).to_dict("records")
    paths.sort(key=lambda path: not len(path["suspect_ranks"]))  # of the lines that are named first
    return tuple(dict.fromkeys(str(path["path"]) for path in paths))[:MOST_SITES]


def _require(item: pytest.Item, result: ChildResult) -> None:
    """Let the test end as its body did, unless it passed."""
    if result.outcome == "passed":
        if result.text and item.get_closest_marker("xfail") is None:
            # Its strict mark was added while it ran: nobody here says so else.
            pytest.fail(result.text, pytrace=False)
        return
    if result.outcome == "xfailed":
        raise pytest.xfail.Exception(result.text)
    if result.outcome == "skipped":
        # At the test, and not at this line.
        raise pytest.skip.Exception(result.text.removeprefix("Skipped: "), _use_item_location=True)
    if result.outcome == "missing":
        pytest.fail(
            "leaklab: not found in an interpreter of its own: its id differs from run to run; "
            "give its parameters fixed ids",
            pytrace=False,
        )
    where = f" (call {result.units + 1} of its body)" if result.units else ""
    pytest.fail(f"{result.text}{where}", pytrace=False)
