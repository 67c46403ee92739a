"""Tables printed again and again by a loop: a heading, its rows, perhaps a line with the time."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from leaklab.importers.cells import with_points
from leaklab.importers.members import members
from leaklab.importers.reading import Member, Options, Reading, Source, check_asked
from leaklab.importers.times import times_of
from leaklab.importers.units import cell
from leaklab.last_words import plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Of a whole system's processes, so many of the largest are kept.
LARGEST_COUNT = 10
_ZONE = re.compile(r"\s+[A-Z]{2,5}(?=\s+\d{4}\s*$)")
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,?\s+"
_MONTH = r"[A-Z][a-z]{2}\s+"
_CLOCK = r"\d{1,2}:\d\d:\d\d(?:\s*[AP]M)?"
# As `date` writes them in the C locale and in English, with -Is, -R and with the formats people
# give it: of these that which is a part of another one comes later.
_DATED_LINES = tuple(
    re.compile(pattern)
    for pattern in (
        r"\d{4}-\d\d-\d\d[T _]\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?",
        rf"{_DAY}{_MONTH}\d+\s+{_CLOCK}.*\d{{4}}",
        rf"{_DAY}\d+\s+{_MONTH}\d{{4}}\s+{_CLOCK}(?:\s+[+-]\d{{4}})?",
        rf"{_DAY}\d+\s+{_MONTH}{_CLOCK}.*\d{{4}}",
        rf"\b\d{{1,4}}/\d{{1,2}}/\d{{1,4}}\s+{_CLOCK}",
        r"^\W*(?:(?:ts|time|timestamp|epoch|date)\b\W*)?(1\d{9}(?:\.\d+)?|1\d{12})\W*$",
    )
)
_TIME_OF_DAY = re.compile(rf"\b{_CLOCK}")


@dataclass(frozen=True)
class Row:
    """One row: which printing of the table it is in, the time said last, and its cells by name."""

    block: int
    time: str | None
    cells: dict[str, str]


def time_in(line: str) -> str | None:
    """Return the time that a line says, None for none.

    >>> time_in("Fri 20 Nov 2026 01:59:00 PM UTC"), time_in("top - 13:59:00 up 10 days")
    ('Fri 20 Nov 2026 01:59:00 PM', '13:59:00')
    """
    if dated := _date_in(line):
        return dated
    clock = _TIME_OF_DAY.search(line)
    return clock[0] if clock else None


def _date_in(line: str) -> str | None:
    """A time with its date, or of the epoch."""
    for pattern in _DATED_LINES:
        match = pattern.search(line)
        if match is not None:
            return _ZONE.sub("", match[pattern.groups]).replace("_", " ")
    return None


def rows_of(
    text: str,
    is_heading: Callable[[list[str]], bool],
    split: Callable[[str, int], list[str]],
    is_row: Callable[[dict[str, str]], bool],
) -> list[Row]:
    """Return the rows below each heading; other lines may say the time.

    ``split(line, count)`` cuts a line into ``count`` cells or fewer, for the heading 0.
    """
    rows: list[Row] = []
    heading: list[str] = []
    block, time, is_dated = -1, None, False
    for line in plain(text).splitlines():
        words = split(line, 0)
        if is_heading(words):
            heading, block, is_dated = words, block + 1, False
            continue
        cells = split(line, len(heading)) if heading else []
        row = dict(zip(heading, cells, strict=False))
        if len(cells) == len(heading) and heading and is_row(row):
            rows.append(Row(block, time, row))
        elif date := _date_in(line):
            time, is_dated = date, True
        elif not is_dated:
            # top says the time of day itself, below the date that a loop has printed.
            time = time_in(line) or time
    return rows


def reading_of(
    rows: list[Row],
    columns: dict[str, tuple[str, int]],
    source: Source,
    options: Options,
    *,
    title: str,
    understood: str,
    name: str | None,
    pid: str | None = None,
    kept: str = "rss_bytes",
    things: str = "",
) -> Reading:
    """Return what ``rows`` of one moment after another tell of each process.

    columns: resource and scale by heading. title, understood: what the format is, and how its
    figures are taken, with what there are ``things`` of where they are counted. name: the heading
    that tells roles apart, unless the user has asked for another one; pid: the one that tells the
    processes of a role. kept: the resource by which the largest roles are kept. Raises UsageError
    for a heading that was asked for and is not there.
    """
    found, started, notes = _members_of(
        rows, columns, name=name, pid=pid, kept=kept, asked=options.group, path=source.path
    )
    counted = f" of {len(found)} {things}" if things else ""
    return Reading(
        title=title,
        understood=f"{len(rows):,} rows{counted}, {understood}",
        members=found,
        started=started,
        notes=notes,
    )


def _members_of(
    rows: list[Row],
    columns: dict[str, tuple[str, int]],
    *,
    name: str | None,
    pid: str | None,
    kept: str,
    asked: str | None,
    path: Path,
) -> tuple[list[Member], float | None, list[str]]:
    """The processes in ``rows``, the epoch of second 0 where known, and notes."""
    import pandas as pd

    check_asked(list(rows[0].cells), (asked,), path)
    count = len(rows)
    values: dict[str, Floats] = {}
    for heading, (resource, scale) in columns.items():
        cells, _ = with_points([row.cells.get(heading, "") for row in rows])
        values[resource] = np.array([_figure(text, scale) for text in cells])
    notes, started, marks = [], None, None
    if all(row.time for row in rows):
        times = times_of("time", pd.Series([row.time for row in rows]))
        seconds, started = times.seconds, times.started
        notes += times.said
    else:
        notes.append("no times beside the figures: counted by printing, so rates are per printing")
        seconds = np.full(count, np.nan)
        marks = np.array([row.block + 1 for row in rows], np.float64)
    group = np.array([role_of(row, name, asked) for row in rows], object)
    names = list(dict.fromkeys(group.tolist()))
    size = {n: float(np.nanmax(values[kept][group == n], initial=0.0)) for n in names}
    if any(size.values()):
        # Threads of the kernel have no memory of their own.
        names = [n for n in names if size[n] > 0]
    if len(names) > LARGEST_COUNT:
        notes.append(f"kept: the {LARGEST_COUNT} largest of {len(names)} {asked or 'command'}s")
        names = sorted(names, key=lambda n: -size[n])[:LARGEST_COUNT]
    keep = np.isin(group, names)
    values = {resource: np.where(keep, column, np.nan) for resource, column in values.items()}
    number = _numbers(rows, group)
    notes += _summed({n: int(number[group == n].max()) + 1 for n in names}, pid)
    # Without a pid the first of a printing is taken for the first of the next one, and so on.
    life: NDArray[Any] = np.array([f"row {n}" for n in number.tolist()], object)
    if pid is not None:
        life = np.array([_figure(row.cells.get(pid, ""), 1) for row in rows])
    return members(seconds, values, group=group, life=life, marks=marks), started, notes


def role_of(row: Row, name: str | None, asked: str | None) -> str:
    """Return the role of a row, by the heading ``name`` unless the user has ``asked`` for one."""
    said = row.cells.get(asked or name or "", "main")
    return said if asked else _role(said)


def _numbers(rows: list[Row], group: NDArray[Any]) -> NDArray[np.int64]:
    """The number of each row among those of its role in one printing, from 0."""
    seen: dict[tuple[str, int, str | None], int] = {}
    found = np.zeros(len(rows), np.int64)
    for place, (row, role) in enumerate(zip(rows, group.tolist(), strict=True)):
        key = (role, row.block, row.time)
        found[place] = seen.get(key, 0)
        seen[key] = int(found[place]) + 1
    return found


def _summed(counts: dict[str, int], pid: str | None) -> list[str]:
    """What to say of roles that have several processes in one printing, whose sum is judged."""
    several = [f"{count} processes of {role}" for role, count in counts.items() if count > 1]
    if not several:
        return []
    more = " and more" if len(several) > 3 else ""
    how = f"--group {pid} takes them apart" if pid else "print the pid, too, to tell them apart"
    return [f"summed over {', '.join(several[:3])}{more}: {how}"]


def _role(command: str) -> str:
    """A command as the name of a role: its program and what it runs, without paths and options."""
    words = command.split()
    if len(words) < 2:
        return command
    said = [word for word in words[1:] if not word.startswith("-")]
    return " ".join(PurePosixPath(word).name or word for word in (words[0], *said[:1]))[:60]


def _figure(text: str, scale: int) -> float:
    """A cell as a figure: in its own unit where it says one, else times ``scale``."""
    try:
        figure, unit = cell(text)
    except ValueError:
        return float("nan")
    return figure if unit else figure * scale


def words(line: str, count: int) -> list[str]:
    """Split a line at spaces; the last of ``count`` cells takes the rest, as a command does.

    kubectl and top fill their last column with spaces, too.

    >>> words("web-0   5m   200Mi           ", 3)
    ['web-0', '5m', '200Mi']
    """
    return line.rstrip().split(None, count - 1) if count else line.split()
