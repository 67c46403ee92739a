"""The options of commands that record, and how they become options of the recorder."""

from __future__ import annotations

import argparse
import os
import stat
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

from leaklab.errors import LeaklabError, UsageError
from leaklab.last_words import last_words
from leaklab.quantities import (
    assignment,
    count,
    duration_seconds,
    names,
    process_id,
    share,
    size_bytes,
)


def add_recording_options(parser: argparse.ArgumentParser) -> None:
    """Add every option that says what is recorded, how, and for how long."""
    _add_what(parser.add_argument_group("what to record"))
    _add_when(parser.add_argument_group("when"))
    limits = parser.add_argument_group("limits")
    _add_limits(limits)
    add_horizon_option(limits)


def _add_what(what: argparse._ArgumentGroup) -> None:
    what.add_argument("--name", help="name of the run (default: from the command)")
    what.add_argument("--variant", help="variant, for example before or after")
    what.add_argument("--python", metavar="PATH", help="interpreter that runs the target")
    what.add_argument("--pid", type=process_id, metavar="PID", help="follow a running process")
    what.add_argument(
        "--passes",
        type=names,
        metavar="LIST",
        help="measure (series), explain (traced heap, object graphs), graph (object graphs at next "
        "to no cost), trim and mmap (does malloc_trim at marks, or MALLOC_MMAP_THRESHOLD_, give "
        "memory back?), separated by commas (default: measure,explain)",
    )
    what.add_argument(
        "--graphs",
        choices=("fork", "here", "never"),
        default="fork",
        help="take object graphs from a copy of the process, in it, or never (default: fork)",
    )
    what.add_argument(
        "--watch-file",
        action="append",
        default=[],
        metavar="PATH",
        help="also record the size of this file, or of all files below this folder (repeatable)",
    )
    what.add_argument("--native", action="store_true", help="native stacks too (slower)")
    what.add_argument(
        "--keep-capture", action="store_true", help="also keep memray's own capture file"
    )
    what.add_argument(
        "--env",
        action="append",
        default=[],
        type=assignment,
        metavar="NAME=VALUE",
        help="environment variable for the target (repeatable)",
    )
    what.add_argument("--echo", action="store_true", help="pass its output on to stderr")


def _add_when(when: argparse._ArgumentGroup) -> None:
    when.add_argument(
        "--interval",
        type=duration_seconds,
        metavar="DURATION",
        help="time between samples without marks, for example 100ms",
    )
    when.add_argument(
        "--mark-on",
        action="append",
        default=[],
        metavar="WHAT",
        help="what ends a unit of work in a target without marks: http, task, "
        "call:MODULE:FUNCTION, or line:PATTERN for lines of its output (repeatable)",
    )
    when.add_argument(
        "--collect",
        choices=("auto", "always", "never"),
        default="auto",
        help="collect garbage before the figures at a mark are taken (default: auto)",
    )
    when.add_argument(
        "--drive",
        metavar="COMMAND",
        help="command, or Python file with a drive() function, that puts load on the target",
    )
    when.add_argument(
        "--drive-rounds",
        type=count,
        metavar="N",
        help="how often it is run: once to warm up, then as work (default: 4)",
    )
    when.add_argument(
        "--drive-idle",
        type=duration_seconds,
        metavar="DURATION",
        help="how long the target is left alone afterwards (default: 2s)",
    )
    when.add_argument(
        "--drive-port",
        type=count,
        metavar="PORT",
        help="the service's port, where the target listens on several (default: the likely one)",
    )


def _add_limits(limits: argparse._ArgumentGroup) -> None:
    limits.add_argument(
        "--duration",
        type=duration_seconds,
        metavar="DURATION",
        help="stop each pass after this long, counted from the first mark or the start of the "
        "drive; without either, from the start of the target",
    )
    limits.add_argument(
        "--graph-at",
        type=share,
        metavar="SHARE",
        help="take an object graph when memory reaches this share of its limit, such as 90%%",
    )
    limits.add_argument(
        "--limit-memory", type=size_bytes, metavar="SIZE", help="stop the target at this much RSS"
    )
    limits.add_argument(
        "--limit-disk", type=size_bytes, metavar="SIZE", help="stop when the run takes this much"
    )
    limits.add_argument(
        "--until-decided",
        action="store_true",
        help="stop as soon as the verdict is decided; --duration is the most it may take",
    )
    limits.add_argument(
        "--traced-window",
        type=duration_seconds,
        metavar="DURATION",
        help="in the graph pass: once growth is seen, trace the heap for so long",
    )
    limits.add_argument(
        "--trace-share",
        type=share,
        metavar="SHARE",
        help="in the explain pass, trace the heap for this share of the time only, such as 10%%: "
        "cheaper; growth by line is estimated",
    )


def add_horizon_option(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add ``--horizon``."""
    parser.add_argument(
        "--horizon",
        type=duration_seconds,
        metavar="DURATION",
        help="how long the program is to run, such as 30d: bounded must hold for as long",
    )


def add_store_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--store``."""
    parser.add_argument(
        "--store",
        metavar="URL",
        help="folder or bucket with the runs (default: $LEAKLAB_STORE or data/runs)",
    )


def add_parameter_option(parser: argparse.ArgumentParser, text: str, values: str = "VALUE") -> None:
    """Add ``-p NAME VALUE``; ``text`` is its help. Before parsing, `pairs_apart` has to see it."""
    parser.add_argument(
        "-p",
        dest="parameters",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", values),
        help=f"{text}; NAME={values} does as well",
    )


def pairs_apart(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with ``-p NAME=VALUE`` as ``-p NAME VALUE``: no name has that sign.

    >>> pairs_apart(["-p", "url=http://x?a=1", "-p", "size", "a=1"])
    ['-p', 'url', 'http://x?a=1', '-p', 'size', 'a=1']
    """
    apart: list[str] = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        pair = apart[-1:] == ["-p"] and equals and name.isidentifier()
        apart += [name, value] if pair else [argument]
    return apart


def add_fail_on_option(
    parser: argparse.ArgumentParser, text: str, more: tuple[str, ...] = ()
) -> None:
    """Add ``--fail-on LIST``; ``text`` is its help, ``more``: what it takes besides verdicts."""
    read = partial(fail_on, more=more)
    parser.add_argument("--fail-on", type=read, default=(), metavar="LIST", help=text)


def recording_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what the user asked for as keyword arguments of :func:`leaklab.recordings.record`."""
    given = {
        "python": arguments.python,
        "pid": arguments.pid,
        "passes": arguments.passes,
        "interval_seconds": arguments.interval,
        "duration_seconds": arguments.duration,
        "limit_memory_bytes": arguments.limit_memory,
        "graph_at_share": arguments.graph_at,
        "limit_disk_bytes": arguments.limit_disk,
        "watch_files": tuple(arguments.watch_file) or None,
        "mark_on": tuple(arguments.mark_on) or None,
        "graphs": arguments.graphs if arguments.graphs != "fork" else None,
        "drive": arguments.drive,
        "drive_round_count": arguments.drive_rounds,
        "drive_idle_seconds": arguments.drive_idle,
        "drive_port": arguments.drive_port,
        "echo": arguments.echo or None,
        "stdin": "inherit" if arguments.command else None,
        "env": dict(arguments.env) or None,
        "collect": arguments.collect if arguments.collect != "auto" else None,
        "native": arguments.native or None,
        "keep_capture": arguments.keep_capture or None,
        "until_decided": arguments.until_decided or None,
        "traced_window_seconds": arguments.traced_window,
        "trace_share": arguments.trace_share,
        "horizon_seconds": arguments.horizon,
    }
    return {key: value for key, value in given.items() if value is not None}


def has_input() -> bool:
    """Return whether something is piped in: the target reads it, so no other run is the same."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


def require_target(arguments: argparse.Namespace) -> None:
    """Refuse a recording of nothing, or of two things."""
    if bool(arguments.command) == (arguments.pid is not None):
        raise UsageError(
            "nothing to record; give a command after --, or --pid"
            if not arguments.command
            else "both a command and --pid; give one of them"
        )


def fail_on(text: str, more: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Read the list of verdicts that make the exit status 3."""
    found = names(text)
    allowed = ("leak", "inconclusive", "unexpected", *more)
    for name in found:
        if name not in allowed:
            raise UsageError(f"unknown verdict: {name}; allowed: {', '.join(allowed)}")
    return found


def failure(meta: dict[str, Any]) -> str | None:
    """Say how the target, or what drives it, failed of itself, or that what was asked for cannot be
    had; None if neither is so."""
    from leaklab.recorder.options import NO_GRAPHS

    for event in meta["events"]:
        if event.get("kind") == "drive":
            return f"{event.get('text')} (in the {event.get('pass')} pass)"
        if event.get("kind") == NO_GRAPHS:
            return f"{NO_GRAPHS}: {event.get('text')}"
    for entry in meta["passes"]:
        if entry.get("stopped_by"):
            continue
        how = None
        if entry.get("signal"):
            how = f"killed by signal {entry['signal']}"
        elif entry.get("exit_status"):
            how = f"exit status {entry['exit_status']}"
        if how:
            return f"the target failed in the {entry.get('pass')} pass: {how}{_last_words(entry)}"
    return None


def note_interruption(*recorded: Any) -> bool:
    """Say that somebody has stopped one of these runs before its end; returns whether it is so."""
    stopped = any(run.meta["state"] == "interrupted" for run in recorded)
    if stopped:
        note("interrupted; the run holds what was measured until then")
    return stopped


def _last_words(entry: dict[str, Any]) -> str:
    """What a target that failed has said last, on either of its outputs: a test runner tells on
    stdout which tests failed."""
    on_stdout = str(entry.get("stdout_tail") or "").strip().rpartition("\n")[2].strip()
    ends = (("its last words", last_words(entry.get("stderr_tail"))), ("on stdout", on_stdout))
    said = "".join(f"; {words}: {last}" for words, last in ends if last)
    return f"{said} (--echo passes on all it says)" if said else ""


def note(text: str) -> None:
    """Write a message for the user, apart from the results."""
    from leaklab.present.terminal import safe

    print(f"leaklab: {safe(text)}", file=sys.stderr)


def status_of(errors: list[LeaklabError]) -> int:
    """Say at the end what of several things failed, once each reason; returns the exit status."""
    for text in dict.fromkeys(map(str, errors)):
        note(text)
    if not errors:
        return 0
    return 2 if all(isinstance(error, UsageError) for error in errors) else 1
