"""The session summed up: the terminal's section, GitHub's step summary, SARIF, the ratchet."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from leaklab.pytest_plugin.known import KnownLeaks
from leaklab.pytest_plugin.outcome import BOUNDED, INCONCLUSIVE, LEAK, Outcome, outcome_from_json
from leaklab.pytest_plugin.telling import PROPERTY
from leaklab.pytest_plugin.texts import (
    growth_text,
    headline,
    leak_text,
    limits_text,
    made_place,
)
from leaklab.whole_file import replace_whole

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


class Summary:
    """Gathers the outcomes from the reports of all tests, also those of xdist's workers."""

    def __init__(self, config: pytest.Config, known: KnownLeaks) -> None:
        self._config = config
        self._known = known
        self._found: list[dict[str, Any]] = []
        self._seen: set[str] = set()
        self._accepted = 0
        # What was asked for and could not be written, a line each.
        self._faults: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep each outcome once: the reports of setup, call and teardown repeat them."""
        for name, value in report.user_properties:
            key = f"{report.nodeid} {value}"
            if name == PROPERTY and key not in self._seen:
                self._seen.add(key)
                self._found.append(json.loads(str(value)))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write what was asked for; a leak that is gone fails a strict session."""
        option = self._config.option
        if self._known.accept is not None:
            self._write("--leaks-known", self._known.path, self._write_known)
        if option.leaks_sarif:
            path = Path(self._config.invocation_params.dir, option.leaks_sarif)
            self._write("--leaks-sarif", path, self._write_sarif)
        if self._faults and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        step = os.environ.get("GITHUB_STEP_SUMMARY")
        if step and self._found:
            self._write("GITHUB_STEP_SUMMARY", Path(step), self._write_step)
        gone = self._known.vanished(self._found)
        if option.leaks_strict and gone and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _write(self, what: str, path: Path, write: Callable[[Path], None]) -> None:
        """Make a file and the folder it is to be in; the session's results stand whatever comes."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path)
        except OSError as problem:
            why = problem.strerror or problem
            self._faults.append(f"leaklab: {what}: {path}: cannot be written: {why}; name another")

    def _write_known(self, _: Path) -> None:
        accepted = self._known.added(self._found)
        self._known.write(accepted)
        self._accepted = len(accepted)

    def _write_sarif(self, path: Path) -> None:
        log = sarif(self._found, self._config.invocation_params.dir)
        replace_whole(path, json.dumps(log, indent=1))

    def _write_step(self, path: Path) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(markdown(self._found))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """One line for all, one for each that is not a plain pass, one for each that is gone."""
        lines = [*self._faults, *self._lines(self._config.get_verbosity())]
        if lines:
            terminalreporter.section("leaks", sep="-")
            for line in lines:
                terminalreporter.write_line(line)

    def _lines(self, verbosity: int) -> Iterator[str]:
        if not self._found:
            return
        found_counts = counts(self._found)
        yield totals_text({word: count for word, count in found_counts.items() if count})
        for found in self._found:
            if found["verdict"] == LEAK and found["known"]:
                yield f"known leak: {found['test']}: {found['known']}; {self._growth(found)}"
            elif found["verdict"] == BOUNDED and verbosity > 0:
                limits = f"; {found['reason']}" if found["reason"] else ""
                yield f"fine: {found['test']}: {found['units']} units, {found['power']}{limits}"
        if self._accepted:
            yield f"{self._accepted} added to {self._known.path}"
        for entry in self._known.vanished(self._found):
            yield f"gone: {entry.test} no longer leaks: take {entry.fingerprint} out of leaks.toml"

    def _growth(self, found: Mapping[str, Any]) -> str:
        entry = self._known.entries.get(found["fingerprint"])
        limits = limits_text(entry.limits) if entry else ""
        return growth_text(_outcome(found)) + (f"; {limits}" if limits else "")


def counts(outcomes: list[dict[str, Any]]) -> dict[str, int]:
    """Return how many leak, are known, are inconclusive and are fine."""
    return {
        "leak": sum(found["verdict"] == LEAK and not found["known"] for found in outcomes),
        "known": sum(found["verdict"] == LEAK and bool(found["known"]) for found in outcomes),
        "inconclusive": sum(found["verdict"] == INCONCLUSIVE for found in outcomes),
        "fine": sum(found["verdict"] == BOUNDED for found in outcomes),
    }


def totals_text(totals: Mapping[str, int]) -> str:
    """Return how many there are of each.

    >>> totals_text({"leak": 3, "fine": 1})
    '3 leaks, 1 fine'
    """
    return ", ".join(
        f"{count} {word}s" if word == "leak" and count != 1 else f"{count} {word}"
        for word, count in totals.items()
    )


def markdown(outcomes: list[dict[str, Any]]) -> str:
    """Return a table of all that is no plain pass, for a step summary of GitHub."""
    rows = [f"### Leaks: {totals_text(counts(outcomes))}", ""]
    shown = [found for found in outcomes if found["verdict"] != BOUNDED]
    if shown:
        rows += ["| test | verdict | what |", "| --- | --- | --- |"]
    for found in shown:
        verdict = "known leak" if found["known"] else found["verdict"]
        cells = (f"`{found['test']}`", verdict, headline(_outcome(found)))
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*rows, "", ""])


def sarif(outcomes: list[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """Return the leaks as a SARIF log: one result each, at the line that allocates what stays."""
    leaks = [found for found in outcomes if found["verdict"] == LEAK]
    rule = {
        "id": "leak",
        "shortDescription": {"text": "Something keeps growing with every call of a test's body"},
    }
    return {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "leaklab", "rules": [rule]}},
                "results": [_sarif_result(found, folder) for found in leaks],
            }
        ],
    }


def _sarif_result(found: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    outcome = _outcome(found)
    file, line = _place(found, outcome)
    try:
        file = Path(file).relative_to(folder).as_posix()
    except ValueError:
        file = Path(file).as_posix()
    result: dict[str, Any] = {
        "ruleId": "leak",
        "level": "note" if found["known"] else "error",
        "message": {"text": leak_text(outcome)},
        "partialFingerprints": {"leaklab/v1": found["fingerprint"]},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": file},
                    "region": {"startLine": max(line, 1)},
                }
            }
        ],
    }
    if found["known"]:
        result["suppressions"] = [{"kind": "external", "justification": found["known"]}]
    return result


def _place(found: Mapping[str, Any], outcome: Outcome) -> tuple[str, int]:
    """The line that allocates what stays, else one that makes what is left, else the test's own."""
    if outcome.place is not None:
        return outcome.place.file, outcome.place.line
    made = next(filter(None, map(made_place, outcome.made)), None)
    return made or (found["test"].partition("::")[0], found.get("line", 1))


def _outcome(found: Mapping[str, Any]) -> Outcome:
    own = ("test", "line", "fingerprint", "known")
    return outcome_from_json({key: value for key, value in found.items() if key not in own})
