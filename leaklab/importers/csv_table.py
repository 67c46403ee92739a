"""CSV, TSV and the like: a heading, and one row of figures a moment."""

from __future__ import annotations

import io
import re
import warnings
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leaklab.errors import LeaklabError
from leaklab.importers.cells import figured
from leaklab.importers.columns import TIME_WORDS, named
from leaklab.importers.reading import Options, Reading, Source
from leaklab.importers.row_ends import EvenRows, without_empty_last
from leaklab.importers.table import read_table
from leaklab.importers.thinned import PART_ROWS, note, thinned
from leaklab.importers.times import is_span, with_whole_dates
from leaklab.importers.units import words_of

if TYPE_CHECKING:
    import pandas as pd

NAME = "csv"
_SEPARATORS = {",": "CSV", "\t": "TSV", ";": "CSV with semicolons", "|": "table with bars"}
# Where the comma may be the decimal mark, a point may be one of thousands, and pandas reads it as
# decimal.
_BESIDE_COMMAS = (";", "\t", "|")
# What pandas calls a first column without a heading.
_UNNAMED = "Unnamed: 0"
_DATE = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}")
_LOGGED = re.compile(r"\W*\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?")
# How pandas says which line it skips.
_WIDER = re.compile(r"line (\d+): expected (\d+) fields, saw (\d+)", re.IGNORECASE)
_EMPTY = ["null", "undefined", "-", "None", "NaN", "nan", ""]


@dataclass
class LeftOut:
    """What of a table is not read: rows that repeat the heading, and what has no heading.

    cut: whether every row had fields behind the last heading, which went.
    """

    headings: int = 0
    cut: bool = False
    wider: int = 0
    first_wider: str = ""

    def add_wider(self, warned: Iterable[warnings.WarningMessage]) -> None:
        """Count the rows that pandas warned of, one a line of its text, as it skipped them."""
        told = "\n".join(str(one.message) for one in warned)
        self.cut = self.cut or "Length of header" in told
        found = _WIDER.findall(told)
        self.wider += len(found)
        if found and not self.first_wider:
            line, expected, saw = found[0]
            self.first_wider = f"line {int(line):,} has {saw} fields where there are {expected}"

    def add(self, other: LeftOut) -> None:
        """Take over what another reading of the table has left out."""
        self.headings += other.headings
        self.cut = self.cut or other.cut
        self.wider += other.wider
        self.first_wider = self.first_wider or other.first_wider

    @property
    def notes(self) -> list[str]:
        """What to say of them."""
        said = []
        if self.headings:
            rows = "row that repeats" if self.headings == 1 else "rows that repeat"
            said.append(f"left out: {self.headings:,} {rows} the heading")
        if self.cut:
            said.append("left out: fields behind the last heading; is a comma in them decimal?")
        if self.wider:
            rows = "row" if self.wider == 1 else "rows"
            said.append(f"left out: {self.wider:,} {rows} of more fields: {self.first_wider}")
        return said


def recognise(source: Source) -> bool:
    """Return whether the first lines have the same number of fields, two or more."""
    return _separator(source) is not None


def read(source: Source, options: Options) -> Reading:
    """Read the columns that are known by name, or that the options name."""
    separator = _separator(source) or ","
    left_out = LeftOut()
    frame, step = frame_of(source, separator, options.time, options.group, left_out)
    frame = _with_index(frame, options)
    # Where the comma is the decimal mark, spreadsheets separate by semicolons.
    decimal = "," if separator == ";" else "."
    reading = read_table(
        frame, options, title=_SEPARATORS[separator], path=source.path, decimal=decimal
    )
    reading.notes += note(step)
    reading.notes += left_out.notes
    return reading


def _with_index(frame: pd.DataFrame, options: Options) -> pd.DataFrame:
    """The table with its first column, where that has no heading, as what it is.

    So pandas writes the index of a table: the time, if it is one, or the numbers of the rows, which
    say nothing beside a time.
    """
    names = [str(name) for name in frame.columns]
    cells = frame.iloc[:, 0].dropna()
    if names[0] != _UNNAMED or _UNNAMED in options.columns or not len(cells):
        return frame
    numbers = cells.to_numpy() if cells.dtype.kind in "iu" else None
    if options.time is not None or named(names, TIME_WORDS) is not None:
        return frame if numbers is None else frame.iloc[:, 1:]
    first = str(cells.iloc[0])
    if _DATE.match(first) or is_span(first):
        return frame.rename(columns={_UNNAMED: "time"})
    # Of more rows than are kept every second is left out, and every second number.
    is_count = numbers is not None and numbers[0] == 0 and len(set(numbers[1:] - numbers[:-1])) == 1
    return frame.rename(columns={_UNNAMED: "index"}) if is_count else frame


def _separator(source: Source) -> str | None:
    if source.separator in _SEPARATORS:
        return source.separator
    lines = [line for line in source.first_lines[:30] if line.strip() and line[0] != "#"]
    if len(lines) == 1:
        fields = re.split(r"[,;\t|]", lines[0])
        heading = len(fields) > 1 and words_of(fields[0]) and words_of(fields[0])[0] in TIME_WORDS
        return lines[0][len(fields[0])] if heading else None
    if not lines or _is_log(lines[0]):
        return None
    for separator in _SEPARATORS:
        least = lines[0].rstrip(" ").count(separator)
        counts = [without_empty_last(line, separator, least).count(separator) for line in lines]
        if (
            counts[0]
            and not _same_words(lines)
            and sum(count == counts[0] for count in counts) >= 0.9 * len(counts)
        ):
            return separator
    # Fields in quotes may hold the separator themselves.
    return "," if lines[0].count(",") and '"' in "".join(lines[1:]) else None


def frame_of(
    source: Source,
    separator: str,
    time_name: str | None = None,
    group: str | None = None,
    left_out: LeftOut | None = None,
) -> tuple[pd.DataFrame, int]:
    """Read a table as columns of figures and texts, and that one row in how many was kept.

    ``left_out`` is told which rows were not read. Raises LeaklabError for a broken table.
    """
    import pandas as pd

    left_out = left_out or LeftOut()
    plain = all(_is_figure(field) for field in source.first_line.split(separator))
    options: dict[str, Any] = {
        "sep": separator,
        "header": None if plain else 0,
        "comment": "#" if source.first_lines[0].startswith("#") else None,
        "na_values": _EMPTY,
        "keep_default_na": True,
        "skipinitialspace": True,
        "index_col": False,
        "on_bad_lines": "warn",
        "encoding": source.encoding,
        "encoding_errors": "replace",
        "chunksize": PART_ROWS,
    }
    if separator in _BESIDE_COMMAS:
        options["dtype"] = str
    # Few tables have rows of more fields: these are read once more, without the empty ones.
    for even in (False, True):
        told = LeftOut()
        try:
            with (
                warnings.catch_warnings(record=True) as warned,
                source.open_text(of_lines=True) as file,
            ):
                warnings.simplefilter("always")
                if even:
                    count = source.first_line.rstrip(" ").count(separator)
                    file = io.BufferedReader(EvenRows(file, separator, count))
                parts = pd.read_csv(file, **options)
                rows = (
                    with_whole_dates(_without_headings(part, told), time_name) for part in parts
                )
                frame, step = thinned(map(figured, rows), time_name, group=group)
        except (ValueError, EOFError, zlib.error, pd.errors.ParserError) as error:
            raise LeaklabError(
                f"damaged table: {source.path}; {str(error).splitlines()[0]}"
            ) from None
        told.add_wider(warned)
        if not told.wider:
            break
    left_out.add(told)
    if plain:
        frame.columns = [str(number) for number in range(1, len(frame.columns) + 1)]
    return frame.loc[:, [str(name) != "" for name in frame.columns]], step


def _without_headings(part: pd.DataFrame, left_out: LeftOut) -> pd.DataFrame:
    """Rows without those that say the heading once more: several files appended to one."""
    first = part.columns[0]
    if part[first].dtype.kind in "iufb":
        return part
    named = [name for name in part.columns if not str(name).startswith("Unnamed: ")]
    cells = part.loc[part[named[0]].eq(named[0]), named] if named else part.iloc[:0]
    heading = cells.index[(cells == named).all(axis=1)]
    left_out.headings += len(heading)
    return part.drop(index=heading) if len(heading) else part


def _same_words(lines: list[str]) -> bool:
    """Whether the lines say the same words with other figures: a log, without a heading."""
    first, second = (re.sub(r"[\d.+-]+", "0", line) for line in lines[:2])
    return first == second and re.search(r"[A-Za-z]", first) is not None


def _is_log(line: str) -> bool:
    """Whether a first line says when something was said: a date is no column's name.

    Python's logging writes a comma into each date, and so each line has two fields or more.
    """
    dated = _LOGGED.match(line)
    return dated is not None and re.search(r"[A-Za-z]{2}", line[dated.end() :]) is not None


def _is_figure(field: str) -> bool:
    try:
        float(field.strip().strip('"'))
    except ValueError:
        return False
    return True
