"""What options and markers may say; what they may not is refused by name."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

MARKER_ARGUMENTS = ("units", "allow", "reason")
# Fewer calls judge nothing, wherever the number comes from.
LEAST_UNITS = 20
COUNTED = ("fd_count", "socket_count", "thread_count", "task_count", "child_count")
RESOURCES = ("rss_bytes", "heap_bytes", *COUNTED)


class SettingsError(Exception):
    """A marker or call that makes no sense; the text is one line for whoever wrote it."""


@dataclass(frozen=True)
class Settings:
    """How one test is judged.

    units: how often its body is called; None repeats until decided. allow: growth per unit that is
    no leak, by resource, in the resource's own unit. reason: why that is allowed.
    """

    units: int | None = None
    allow: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""


def settings_of(arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Settings:
    """Return the settings from the arguments of a marker or call; SettingsError naming the fault.

    >>> settings_of((), {"units": 50, "allow": {"fd_count": 1}, "reason": "pool"}).units
    50
    """
    if arguments:
        raise SettingsError(f"unnamed argument: {arguments[0]!r}; write units={arguments[0]!r}")
    for name in options:
        if name not in MARKER_ARGUMENTS:
            raise SettingsError(f"unknown: {name}; allowed: {', '.join(MARKER_ARGUMENTS)}")
    units = options.get("units")
    if units is not None and not _is_count(units):
        raise SettingsError(f"units: {units!r}; a whole number from {LEAST_UNITS} on")
    allow = options.get("allow") or {}
    reason = options.get("reason", "")
    _check_allow(allow, reason)
    return Settings(units, {name: float(value) for name, value in allow.items()}, reason)


def _check_allow(allow: Any, reason: Any) -> None:
    if not isinstance(allow, Mapping):
        raise SettingsError(f"allow: {allow!r}; a dict such as {{'fd_count': 1}}")
    for name, value in allow.items():
        if name not in RESOURCES:
            raise SettingsError(f"allow: {name!r}; allowed: {', '.join(RESOURCES)}")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 < value < math.inf:
            raise SettingsError(f"allow: {name}={value!r}; growth per unit, above 0")
    if not isinstance(reason, str) or (allow and not reason.strip()):
        raise SettingsError(f"allow without its reason: {dict(allow)}; add reason='why'")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= LEAST_UNITS


def check_options(option: Any, folder: Path) -> None:
    """Refuse options that no test could be judged with; pytest.UsageError naming the first.

    Before anything is collected: else every test would fail for it, in every worker.
    """
    from leaklab.errors import LeaklabError
    from leaklab.recorder.command import find_python

    if option.leaks_units is not None:
        count_of("--leaks-units", option.leaks_units)
    try:
        find_python(option.leaks_python)
    except LeaklabError as problem:
        raise pytest.UsageError(f"leaklab: --leaks-python: {problem}") from None
    if option.leaks_report:
        pages = folder / option.leaks_report
        try:
            pages.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=pages).close()
        except OSError as problem:
            raise pytest.UsageError(
                f"leaklab: --leaks-report: {pages}: no folder to write to: {problem.strerror}; "
                "name another"
            ) from None


def count_of(option: str, text: str, least: int = LEAST_UNITS) -> int:
    """Return a number of units from an option; pytest.UsageError naming it otherwise."""
    if not text.isdecimal() or int(text) < least:
        raise pytest.UsageError(f"leaklab: {option}: {text}; a whole number from {least} on")
    return int(text)


def seconds_of(option: str, text: str) -> float:
    """Return seconds from an option; pytest.UsageError naming it otherwise."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise pytest.UsageError(f"leaklab: {option}: {text}; seconds, from 0 on")
    return seconds


def remaining_pattern(name: Any, reason: Any) -> None:
    """Fail the test unless an expectation has a name and its reason."""
    if not isinstance(name, str) or not name:
        pytest.fail(
            f"leaklab: expect_remaining: no name: {name!r}; a pattern such as 'worker-*'",
            pytrace=False,
        )
    if not isinstance(reason, str) or not reason.strip():
        pytest.fail(
            f"leaklab: expect_remaining: {name} without its reason; add reason='why'", False
        )
