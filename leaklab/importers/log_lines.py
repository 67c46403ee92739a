"""Log lines out of which a regular expression takes figures."""

from __future__ import annotations

import re

import numpy as np

from leaklab.errors import UsageError
from leaklab.importers.columns import GROUP_WORDS
from leaklab.importers.reading import Options, Reading, Source
from leaklab.importers.table import read_table
from leaklab.importers.units import unit_in_name, unit_name

NAME = "lines"
_DATE = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?")
_CLOCK = re.compile(r"\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b")
# Seconds or milliseconds since 1970 as `date +%s` and time.time() give them, at the begin of a line
# or behind a word for it.
_EPOCH = re.compile(
    r"(?:^\W*|\b(?:ts|time|timestamp)\b\W{1,3})(1\d{9}(?:[.,]\d+)?|1\d{12})(?![\w.])"
)
_UNIT_AFTER = re.compile(r"\s*\(?([KMGT]i?B|bytes)\b", re.IGNORECASE)
_UNIT_WITHIN = re.compile(rf"(.*\d){_UNIT_AFTER.pattern}\)?\s*", re.IGNORECASE)


def recognise(source: Source) -> bool:
    """Return False: without --line nothing says where the figures are."""
    return False


def read(source: Source, options: Options) -> Reading:
    """Read the named groups of ``--line`` as columns; the time is a group, or stands in the line.

    A line without a time is counted: the axis is then matches, one by one, of each process.
    """
    import pandas as pd

    if not options.line:
        raise UsageError(
            f"log lines need --line: {source.path}; for example "
            r"--line 'RSS=(?P<rss>[\d.]+) ?MB'"
        )
    try:
        pattern = re.compile(options.line)
    except re.error as error:
        raise UsageError(f"not a regular expression: {options.line}; {error}") from None
    if not pattern.groups:
        raise UsageError(f"no group in --line: {options.line}; write (?P<rss>...) around a figure")
    rows = []
    for line in source.lines(of_lines=True):
        match = pattern.search(line)
        if match is not None:
            rows.append(_row(match, line, options.unit))
    if not rows:
        raise UsageError(f"no line matches: {options.line} in {source.path}; mind the escapes")
    frame = pd.DataFrame(rows)
    if "timestamp" in frame and frame["timestamp"].isna().any():
        frame = frame.drop(columns="timestamp")
    axes = {"time", "timestamp", "ts", "date", "seconds", "elapsed", "iteration"}
    if options.time is None and not axes & set(frame.columns):
        # Each process counts its own.
        labels = [n for n in frame if n == options.group or n in GROUP_WORDS]
        frame["iteration"] = (
            frame.groupby(labels, dropna=False).cumcount() + 1
            if labels
            else np.arange(1, len(frame) + 1)
        )
    return read_table(frame, options, title="log lines", path=source.path)


def _row(match: re.Match[str], line: str, asked: str | None) -> dict[str, object]:
    named = match.groupdict()
    row: dict[str, object] = {}
    if named:
        for name, text in named.items():
            row[name] = _with_unit(text, line[match.end(name) :], asked)
    else:
        row["rss"] = _with_unit(match[1], line[match.end(1) :], asked)
    if not {"time", "timestamp", "ts"} & set(row):
        row["timestamp"] = _moment(line, match)
    return row


def _moment(line: str, match: re.Match[str]) -> str | None:
    """The time in a line: a date, an epoch that is no figure taken out of it, or a time of day."""
    epoch = _EPOCH.search(line)
    taken = [match.span(group) for group in range(1, match.re.groups + 1)]
    if epoch and any(begin < epoch.end(1) and epoch.start(1) < end for begin, end in taken):
        epoch = None
    found = _DATE.search(line)
    text = found[0] if found else epoch[1] if epoch else None
    if text is None and (clock := _CLOCK.search(line)):
        text = clock[0]
    return text.replace(",", ".") if text else None


def _with_unit(text: str | None, after: str, asked: str | None) -> str | None:
    """A figure with the unit in the group or behind it: as people write it, by 1024.

    ``asked``: ``--unit``, which is exact, says so of the same word.
    """
    within = _UNIT_WITHIN.fullmatch(text or "")
    figure, unit = (within[1], within[2]) if within else (text, None)
    if unit is None and (behind := _UNIT_AFTER.match(after)):
        unit = behind[1]
    if figure is None or unit is None:
        return text
    exact = asked is not None and asked.strip().lower() == unit.lower()
    return f"{figure} {unit if exact else unit_name(unit_in_name(unit) or 1)}"
