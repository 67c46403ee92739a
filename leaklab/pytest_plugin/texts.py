"""What failures say: at most twelve lines, more of them with ``-v``."""

from __future__ import annotations

import json
import linecache
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from leaklab.present.formatting import amount
from leaklab.pytest_plugin.inside.leaklab_origins import Remaining
from leaklab.pytest_plugin.outcome import Grown, Outcome

MOST_LINES = 12
Frame = tuple[str, int, str]


def place_text(frame: Frame) -> str:
    """Return ``tests/test_app.py:41 function``, with the path as seen from here.

    The function alone where there is no file.
    """
    file, line, function = frame
    if not file:
        return function
    path = os.path.relpath(file) if Path(file).is_absolute() else file
    return f"{file if path.startswith('..') else path}:{line} {function}"


def source_line(file: str, line: int) -> str:
    """Return the text of a line, without its indentation; empty where it cannot be read."""
    return linecache.getline(file, line).strip()


def remaining_text(
    left: Sequence[Remaining], verbosity: int = 0, makers: Sequence[str] = ("the test",)
) -> str:
    """Return what ``makers`` left behind, with the line that made each and how to allow it.

    With verbosity the whole stacks, and all there is.
    """
    count = len(left)
    by = " and ".join(dict.fromkeys(makers))
    lines = [f"leaklab: {count} {'thing' if count == 1 else 'things'} left behind by {by}"]
    # An expectation for each title that is shown.
    advice: dict[str, None] = {}
    for number, one in enumerate(left):
        entry = _one_text(one, verbosity)
        patterns = {**advice, json.dumps(pattern_of(one.title), ensure_ascii=False): None}
        # All but the last leave a line for how many more there are.
        room = MOST_LINES - (number + 1 < count)
        if verbosity < 1 and len(lines) + len(entry) + len(patterns) > room:
            lines.append(f"  and {count - number} more; -v shows all")
            break
        lines += entry
        advice = patterns
    ways = [f'expect_remaining({pattern}, reason="…")' for pattern in advice]
    lines.append(f"  on purpose? with the fixture expect_remaining: {ways[0]}")
    lines += [f"      {way}" for way in ways[1:]]
    return "\n".join(lines)


def pattern_of(title: str) -> str:
    """Return a pattern as of a shell that fits a title in the next run as well.

    >>> pattern_of("Thread-12 (serve)"), pattern_of("/tmp/#2148905 (deleted)")
    ('Thread-* (serve)', '/tmp/#* (deleted)')
    """
    # What is counted in a process, in a session or on a disk, and names made up at random.
    changing = r"(?<=[-_#=])\d+|(?<=/tmp)[a-z0-9_]{8}(?=/|$| )"
    return re.sub(changing, "*", title.replace("[", "[[]"))


def _one_text(one: Remaining, verbosity: int) -> list[str]:
    made = one.made_at
    if made is None:
        return [f"  {one.what} {one.name}, made out of sight of Python"]
    lines = [f"  {one.what} {one.name}, made at {place_text(made)}"]
    text = source_line(made[0], made[1])
    if text:
        lines.append(f"      {text}")
    if verbosity > 0:
        lines += [f"        from {place_text(frame)}" for frame in one.stack]
    return lines


def leak_text(outcome: Outcome, verbosity: int = 0) -> str:
    """Return why a test fails: how much per call, which lines, what holds it, how to see it again.

    At most ``MOST_LINES`` lines, with verbosity all sites, holders and the reason.
    """
    most = None if verbosity > 0 else 2
    first, *others = outcome.grown
    lines = [f"leaklab: leak: {_growth(first)}, {outcome.units} calls"]
    if others:
        lines.append(f"  too: {', '.join(_growth(entry) for entry in others[:most])}")
    for site in outcome.shown_sites[:most]:
        rate = f" keeps {amount('heap_bytes', site.rate)} per call" if site.rate > 0 else ""
        lines.append(f"  {place_text((site.file, site.line, site.function))}{rate}")
        source = site.source or source_line(site.file, site.line)
        lines += [f"      {source}"] if source else []
    lines += [f"  native memory, taken by {outcome.native}"] if outcome.native else []
    if most is not None and outcome.to_allow:
        most -= 1
    held = [holder.removeprefix("held by ") for holder in outcome.holders[:most]]
    lines += [f"  held by {holder}" for holder in held]
    lines += [f"  {text}" for text in outcome.made[:most]]
    if verbosity > 0 and outcome.reason:
        lines.append(f"  {outcome.reason}")
    lines += [f"  on purpose? {_allowance(outcome.to_allow)}"] if outcome.to_allow else []
    lines += [f"  page: {outcome.page}"] if outcome.page else []
    lines += [f"  again: {outcome.again}"] if outcome.again else []
    return "\n".join(lines)


def _allowance(limits: Mapping[str, float]) -> str:
    """The allowance to write, with figures as a person writes them."""
    figures = ", ".join(f'"{resource}": {rate:g}' for resource, rate in limits.items())
    return f"allow all of it: allow={{{figures}}}"


def headline(outcome: Outcome) -> str:
    """Return one line about a leak or an undecided test, for tables."""
    if not outcome.grown:
        return inconclusive_text(outcome).removeprefix("leaklab: ")
    site = outcome.place
    where = f" at {place_text((site.file, site.line, site.function))}" if site else ""
    return growth_text(outcome) + where


def growth_text(outcome: Outcome) -> str:
    """Return how much of each resource grows per call."""
    return ", ".join(_growth(entry) for entry in outcome.grown)


def limits_text(limits: Mapping[str, float]) -> str:
    """Return above what growth per call a known leak fails; empty where no figure was kept.

    >>> limits_text({"fd_count": 1.0, "heap_bytes": 2048.0})
    'fails above 1 fd or 2 KiB per call'
    """
    figures = [amount(resource, rate) for resource, rate in limits.items()]
    return f"fails above {' or '.join(figures)} per call" if figures else ""


def inconclusive_text(outcome: Outcome) -> str:
    """Return the warning about a test that was not decided."""
    needed = f"{outcome.needed_units} would decide" if outcome.needed_units else "not decided"
    return f"leaklab: inconclusive after {outcome.units} units, {needed}: {outcome.reason}"


def made_text(row: Sequence[Any]) -> str:
    """Return what is left per call and which line made it, from ``made_rows``."""
    kind, count, file, line, function = row
    if file is None:
        return f"{kind}: {count:.3g} per call, made out of sight of Python"
    text = f"{kind}: {count:.3g} per call, made at {place_text((file, line, function))}"
    source = source_line(file, line)
    return f"{text}: {source}" if source else text


def made_place(text: str) -> tuple[str, int] | None:
    """Return the file and line that a text of :func:`made_text` names; None where it names none.

    >>> made_place("thread: 1 per call, made at tests/test_app.py:41 begin: Thread().start()")
    ('tests/test_app.py', 41)
    """
    found = re.search(r" per call, made at (.+?):(\d+) ", text + " ")
    return (found[1], int(found[2])) if found else None


def _growth(entry: Grown) -> str:
    names = {"heap_bytes": "heap", "rss_bytes": "resident memory", "in_use_bytes": "memory in use"}
    name = names.get(entry.resource, "")
    text = _rate(entry)
    whose = "" if entry.role == "main" else f" of {entry.role}"
    return f"{name}{whose} grows by {text}" if name else f"{text} stay{whose}"


def _rate(entry: Grown) -> str:
    text = f"{amount(entry.resource, entry.rate)} per call"
    if not math.isfinite(entry.low) or not math.isfinite(entry.high) or entry.low == entry.high:
        return text
    low, high = amount(entry.resource, entry.low), amount(entry.resource, entry.high)
    return f"{text} ({low} to {high}, 95 %)" if low != high else text
