"""Text of ``/metrics``, scraped again and again into one file; what promtool prints of series.

A line of the text is ``name{label="value"} 12.5 1700000000000``, without its time at most targets:
then a line with the time stands before each scrape. ``promtool tsdb dump`` writes the same with the
name as a label, ``promtool query`` the labels alone, with ``12.5 @[1700000000]`` below them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from leaklab.errors import UsageError
from leaklab.importers.blocks import time_in
from leaklab.importers.metrics import METRICS
from leaklab.importers.prometheus import Line, reading_of
from leaklab.importers.reading import Options, Reading, Source, refuse
from leaklab.importers.times import times_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME = "exposition"
_NAME = r"[a-zA-Z_:][\w:]*"
_LABELS = r"\{(?:[^\"{}]|\"(?:[^\"\\]|\\.)*\")*\}"
_VALUE = r"[-+]?(?:\d[\d.]*(?:[eE][-+]?\d+)?|\.\d+|Inf|NaN)"
# What follows a # is an exemplar.
_SAMPLE = re.compile(
    rf"(?P<head>{_NAME}(?:{_LABELS})?|{_LABELS})\s+(?P<value>{_VALUE})"
    r"(?:\s+(?P<time>-?\d[\d.eE+]*))?\s*(?:#.*)?"
)
_QUERIED = re.compile(rf"(?P<head>{_NAME}(?:{_LABELS})?|{_LABELS})\s*=>\s*(?P<rest>.*)")
_AT = re.compile(rf"(?P<value>{_VALUE})\s+@\[(?P<time>[\d.]+)\]\s*")
_LABEL = re.compile(r"([a-zA-Z_]\w*)\s*=\s*\"((?:[^\"\\]|\\.)*)\"")
_ESCAPED = re.compile(r"\\(.)")
_ABOUT = re.compile(r"#\s*(?:(?:HELP|TYPE|UNIT) |EOF)")
# The text has milliseconds, OpenMetrics seconds: of this century either way.
_LARGEST_SECONDS = 1e11
_LEAST_SHARE = 0.8


def recognise(source: Source) -> bool:
    """Return whether most lines are figures of metrics, and one says so: labels, a comment, a name.

    A line with the time of a scrape may stand between them.
    """
    lines = [line.strip() for line in source.first_lines if line.strip()]
    about = [line for line in lines if _ABOUT.match(line)]
    rest = [line for line in lines if line[0] != "#" and not _is_time(line)]
    found = [match for line in rest if (match := _matched(line)) is not None]
    heads = [match["head"] for match in found if "head" in match.re.groupindex]
    sure = about or any(head[-1] == "}" or head in METRICS for head in heads)
    return bool(heads and sure) and len(found) >= _LEAST_SHARE * len(rest)


def _is_time(line: str) -> bool:
    return _SAMPLE.fullmatch(line) is None and time_in(line) is not None


def _matched(line: str) -> re.Match[str] | None:
    return _SAMPLE.fullmatch(line) or _AT.fullmatch(line) or _QUERIED.fullmatch(line)


def read(source: Source, options: Options) -> Reading:
    """Read the figures of each metric by the times beside them, or those of the scrapes."""
    rows, said = _rows(source.text_of_lines)
    if not rows:
        raise refuse(source.path, "text of /metrics without figures", "scrape it again")
    seconds, dated = _seconds(rows, said, source.path)
    at: dict[str, list[int]] = {}
    for place, (head, _, _, _) in enumerate(rows):
        at.setdefault(head, []).append(place)
    values = np.array([row[1] for row in rows])
    known = np.isfinite(values) & np.isfinite(seconds)
    lines = []
    for head, places in at.items():
        kept = np.array(places)[known[places]]
        kept = kept[np.argsort(seconds[kept], kind="stable")]
        if len(kept):
            lines.append(Line(_labels(head), seconds[kept], values[kept]))
    if not any(line.seconds[-1] > line.seconds[0] for line in lines):
        raise UsageError(
            f"metrics of one moment, or no times beside the figures: {source.path}; append a "
            "scrape every minute, with the time before it: (date -Is; curl -s URL) >> FILE"
        )
    reading = reading_of(lines, options, source.path, "text of metrics")
    reading.started = reading.started if dated else None
    return reading


# A figure: labels as written, value, its own time or NaN, how many lines with a time come before.
_Row = tuple[str, float, float, int]


def _rows(text: str) -> tuple[list[_Row], list[str]]:
    """The figures in their order, and the times that lines between them say."""
    rows: list[_Row] = []
    times: list[str] = []
    queried = ""
    for line in map(str.strip, text.splitlines()):
        match = _matched(line) if line and line[0] != "#" else None
        if match is None:
            found = time_in(line) if not _ABOUT.match(line) else None
            times += [found] if found else []
            continue
        if match.re is _QUERIED:
            queried = match["head"]
            match = _AT.fullmatch(match["rest"])
            if match is None:
                continue
        head = queried if match.re is _AT else match["head"]
        time = float(match["time"] or "nan")
        time = time / 1000 if time > _LARGEST_SECONDS else time
        rows.append((head, float(match["value"]), time, len(times)))
    return rows, times


def _seconds(rows: list[_Row], said: list[str], path: Path) -> tuple[NDArray[np.float64], bool]:
    """The second of each figure (NaN where nothing says it), and whether that is of the epoch.

    By the lines between the scrapes where each has one: a target's own times may stand still.
    """
    import pandas as pd

    own = np.array([row[2] for row in rows])
    scrape = np.array([row[3] for row in rows])
    if np.isfinite(own).all() or not said:
        return own, True
    times = times_of("time", pd.Series(said))
    between = np.append(np.nan, times.seconds + (times.started or 0.0))[scrape]
    if times.started is None and np.isfinite(own).any():
        raise UsageError(
            f"times of day beside times of metrics: {path}; write the date before each scrape, "
            "as date -Is does"
        )
    return np.where(np.isfinite(between), between, own), times.started is not None


def _labels(head: str) -> dict[str, str]:
    name = head.partition("{")[0]
    pairs = {key: _ESCAPED.sub(_unescaped, text) for key, text in _LABEL.findall(head)}
    return {**({"__name__": name} if name else {}), **pairs}


def _unescaped(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]
