"""From an outcome to what pytest is told: a failure, a warning, or properties of the test."""

from __future__ import annotations

import json
import warnings
from typing import Any

import pytest

from leaklab.pytest_plugin.known import Rows
from leaklab.pytest_plugin.outcome import INCONCLUSIVE, LEAK, Outcome
from leaklab.pytest_plugin.texts import inconclusive_text, leak_text, limits_text

# What carries the outcome to where the session is summed up, over xdist as well.
PROPERTY = "leaklab"


class LeaksInconclusiveWarning(UserWarning):
    """A test was not decided: it neither leaks nor is it known not to."""


class LeaksFixtureWarning(UserWarning):
    """A test gets another plugin's fixture where it asks for one of ours."""


def tell(item: pytest.Item, test: str, outcome: Outcome) -> None:
    """Fail the test for a leak, warn where it is not decided, and leave the outcome behind."""
    found = {"test": test, "line": (item.location[1] or 0) + 1, **outcome.to_json()}
    excuse = None
    if outcome.verdict == LEAK:
        found["fingerprint"] = outcome.fingerprint(test)
        excuse = _reason(item, found["fingerprint"], found["grown"])
    found["known"] = excuse
    properties = [
        (f"{PROPERTY}_verdict", "known leak" if excuse else outcome.verdict),
        (f"{PROPERTY}_units", str(outcome.units)),
        (PROPERTY, json.dumps(found)),
    ]
    item.user_properties += properties
    if outcome.verdict == LEAK and excuse is None:
        text = leak_text(outcome, item.config.get_verbosity())
        pytest.fail(text + _outgrown(item, found["fingerprint"]), pytrace=False)
    if outcome.verdict == INCONCLUSIVE:
        if item.config.option.leaks_strict:
            pytest.fail(inconclusive_text(outcome), pytrace=False)
        warn(item, inconclusive_text(outcome))


def is_known(item: pytest.Item, test: str, outcome: Outcome) -> bool:
    """Return whether a leak is among the known ones: nobody then asks what holds it."""
    return _reason(item, outcome.fingerprint(test), outcome.to_json()["grown"]) is not None


def _reason(item: pytest.Item, fingerprint: str, grown: Rows) -> str | None:
    known: Any = item.config.pluginmanager.getplugin("leaklab-known")
    return known.reason(fingerprint, grown) if known else None


def _outgrown(item: pytest.Item, fingerprint: str) -> str:
    """A line for a leak that is known, and is more by now than what was accepted."""
    known: Any = item.config.pluginmanager.getplugin("leaklab-known")
    entry = known.entries.get(fingerprint) if known else None
    return f"\n  known, but {limits_text(entry.limits)}: {known.path}" if entry else ""


def warn(
    item: pytest.Item, text: str, category: type[UserWarning] = LeaksInconclusiveWarning
) -> None:
    """Put a warning into pytest's summary: also where a suite turns its own into errors."""
    path, line, _ = item.location
    warning = warnings.WarningMessage(category(text), category, path, (line or 0) + 1)
    item.ihook.pytest_warning_recorded.call_historic(
        kwargs={
            "warning_message": warning,
            "when": "runtest",
            "nodeid": item.nodeid,
            "location": None,
        }
    )
