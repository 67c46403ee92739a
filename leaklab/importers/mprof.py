"""What ``mprof run`` writes: memory over time, children, and the calls of decorated functions."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from leaklab.errors import LeaklabError
from leaklab.importers.reading import Member, Options, Reading, Series, Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

NAME = "mprof"
# mprof divides by 2^20 and calls it MB.
_SCALE = 1 << 20
_KINDS = ("CMDLINE ", "MEM ", "CHLD ", "FUNC ", "TIMESTAMP ")
# Fewer calls of one function are not worth a rate per call.
LEAST_CALL_COUNT = 8
_LEAST_ROWS = 2


@dataclass
class _Run:
    """The lines after one CMDLINE."""

    command: str = ""
    memory: list[tuple[float, float]] = field(default_factory=list)
    children: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    calls: dict[str, list[tuple[float, float]]] = field(default_factory=dict)


def recognise(source: Source) -> bool:
    """Return whether the first lines are those of mprof."""
    lines = [line for line in source.first_lines[:20] if line.strip()]
    if not lines or not lines[0].startswith(_KINDS):
        return False
    # A command may go over several lines.
    figures = [line for line in source.first_lines[:200] if re.match(r"MEM [\d.]+ \d+\.\d+", line)]
    return len(figures) > 1


def read(source: Source, options: Options) -> Reading:
    """Read the runs in a file; those of the last command are judged, joined by age."""
    runs = [run for run in _parsed(source.text_of_lines) if len(run.memory) >= _LEAST_ROWS]
    if not runs:
        raise LeaklabError(f"mprof file without figures: {source.path}; run `mprof run` longer")
    same = [run for run in runs if run.command == runs[-1].command]
    started = same[0].memory[0][0]
    members: list[Member] = []
    notes = []
    for run in same:
        called = max(run.calls, key=lambda name: len(run.calls[name]), default=None)
        calls = run.calls[called] if called and len(run.calls[called]) >= LEAST_CALL_COUNT else []
        if calls and run is same[-1]:
            notes.append(f"marks: the ends of {len(calls)} calls of {called}")
        argv = tuple(_words(run.command))
        members.append(_member("main", run.memory, started, argv, calls))
        members += [
            _member(f"child {name}", rows, started, ()) for name, rows in run.children.items()
        ]
    figures = sum(len(run.memory) for run in same)
    steps = np.diff([moment for moment, _ in same[-1].memory])
    count = f"{len(runs)} runs in one file, " if len(runs) > 1 else ""
    if len(same) < len(runs):
        notes.append(f"left out: {len(runs) - len(same)} runs of other commands")
    every = f" every {np.median(steps):.2g} s" if len(steps) else ""
    return Reading(
        title="mprof",
        understood=f"{count}{figures:,} figures{every}, MB (2^20) as rss_bytes",
        members=members,
        started=started,
        notes=notes,
        restarts_told=True,  # it has started the process
    )


def _parsed(text: str) -> list[_Run]:
    runs: list[_Run] = []
    calls: list[tuple[str, float, float]] = []
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "CMDLINE" or not runs:
            runs.append(_Run(rest if kind == "CMDLINE" else ""))
        run, words = runs[-1], rest.split()
        try:
            if kind == "MEM":
                run.memory.append((float(words[1]), float(words[0])))
            elif kind == "CHLD":
                rows = run.children.setdefault(words[0], [])
                rows.append((float(words[2]), float(words[1])))
            elif kind == "FUNC":
                calls.append((words[0], float(words[4]), float(words[3])))
            elif kind not in ("CMDLINE", "TIMESTAMP") and not run.memory:
                run.command += f"\n{line}"
        except (ValueError, IndexError):
            continue  # the last line of an mprof that was killed
    for name, moment, memory in calls:
        # The target writes its calls, mprof the rest: the order of lines says nothing.
        nearest = min(runs, key=lambda run: _distance(run, moment))
        nearest.calls.setdefault(name, []).append((moment, memory))
    for run in runs:
        # When the process has gone mprof writes a last 0.0; null is no figure.
        while run.memory and run.memory[-1][1] == 0:
            run.memory.pop()
        for rows in run.children.values():
            while rows and rows[-1][1] == 0:
                rows.pop()
        run.children = {name: rows for name, rows in run.children.items() if rows}
    return runs


def _distance(run: _Run, moment: float) -> float:
    """Seconds from a moment to a run: 0 inside it."""
    if not run.memory:
        return float("inf")
    return max(run.memory[0][0] - moment, moment - run.memory[-1][0], 0.0)


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def _member(
    role: str,
    rows: list[tuple[float, float]],
    started: float,
    argv: tuple[str, ...],
    calls: list[tuple[float, float]] | None = None,
) -> Member:
    series = [_series(rows, started)]
    if calls:
        ended = sorted(calls)
        series.append(_series(ended, started, np.arange(1.0, len(ended) + 1)))
    return Member(role, tuple(series), argv=argv)


def _series(rows: list[tuple[float, float]], started: float, marks: Any = None) -> Series:
    table = np.array(rows, np.float64)
    return Series("rss_bytes", table[:, 0] - started, table[:, 1] * _SCALE, marks)
