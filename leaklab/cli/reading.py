"""The options that say how a file of another tool is read."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from leaklab.errors import LeaklabError, UsageError
from leaklab.quantities import size_bytes
from leaklab.scratch import Scratch

STANDARD_INPUT = "-"


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """Add every option that says what is in a file."""
    group = parser.add_argument_group("how a file of another tool is read")
    group.add_argument("--format", metavar="NAME", help="read it as this, whatever it looks like")
    group.add_argument("--time", metavar="COL", help="column of times, or of iterations")
    group.add_argument(
        "--value",
        action="append",
        default=[],
        metavar="COL[=NAME]",
        help="column to judge, as rss_bytes, fd_count, gauge:NAME … or as mark, a count of units "
        "of work (repeatable)",
    )
    group.add_argument(
        "--unit",
        metavar="UNIT",
        help="of memory: MiB, KB …; MB here and in a cell is 10^6 bytes, in a heading or a line of "
        "a log 2^20 as MiB is",
    )
    group.add_argument("--group", metavar="COL", help="column that tells processes apart")
    group.add_argument(
        "--line", metavar="REGEX", help=r"log lines: 'RSS=(?P<rss>[\d.]+) MB' takes out a figure"
    )
    group.add_argument(
        "--limit",
        type=size_bytes,
        metavar="SIZE",
        help="what it may grow to, for the time left; also of a run",
    )
    group.add_argument(
        "--trust-pickle",
        action="store_true",
        help="load pickles (dumps of tracemalloc): runs whatever is in them",
    )


def reading_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what the user said as keyword arguments of :func:`leaklab.recordings.read`."""
    return {
        "format": arguments.format,
        "time": arguments.time,
        "values": tuple(arguments.value),
        "unit": arguments.unit,
        "group": arguments.group,
        "line": arguments.line,
        "limit_bytes": arguments.limit,
        "trust_pickle": arguments.trust_pickle,
    }


@contextmanager
def with_piped(names: Sequence[str]) -> Iterator[list[str]]:
    """Yield the names of runs and files, with that of a copy instead of standard input (``-``).

    A file is read more than once, which a pipe is not.
    """
    if STANDARD_INPUT not in names:
        yield list(names)
        return
    if names.count(STANDARD_INPUT) > 1:
        raise UsageError("standard input named twice: -; save one of the two to a file first")
    with Scratch("stdin") as folder:
        copy = folder / "stdin"
        with copy.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        copied = [str(copy) if name == STANDARD_INPUT else name for name in names]
        try:
            yield copied
        except LeaklabError as error:
            raise as_given(error, names, copied) from None


def as_given(error: LeaklabError, given: Sequence[str], copied: Sequence[str]) -> LeaklabError:
    """Return the error with standard input in it instead of the copy, which nobody knows."""
    text = str(error)
    for name, copy in zip(given, copied, strict=True):
        text = text.replace(copy, "standard input") if name == STANDARD_INPUT else text
    return type(error)(text)
