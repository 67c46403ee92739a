"""Columns of cells as figures: which mark is the decimal one, and the unit that cells say."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leaklab.errors import UsageError
from leaklab.importers import columns as known
from leaklab.importers.reading import Options
from leaklab.importers.units import cell, cell_scale, unit_in_name, unit_option, words_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# A figure as it begins a cell; a unit may follow, or a second figure behind a slash.
_FIGURE = re.compile(r"\s*[-+]?(\d[\d.,]*|[.,]\d+)(?:[eE][-+]?\d+)?\s*[A-Za-z%/]*\s*(?:/.*)?")
# Between thousands, as spreadsheets write them where a space does it.
_SPACES = re.compile(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3})")
# Of larger units than this fractions are written.
_LARGEST_WHOLE = 1 << 10
# What a figure looks like where the point, or the comma, is its decimal mark.
_BY_MARK = {
    ".": re.compile(r"\d*(\.\d*)?|[1-9]\d{0,2}(,\d{3})+(\.\d*)?"),
    ",": re.compile(r"\d*(,\d*)?|[1-9]\d{0,2}(\.\d{3})+(,\d*)?"),
}


def with_points(texts: Sequence[Any], likely: str = ".") -> tuple[list[Any], str]:
    """Return cells with a decimal point and no thousands marks, and the decimal mark they had.

    One mark holds for the whole column, as "1,234" alone says nothing: the one that most of those
    cells have which can be read in one way only; ``likely`` where there is none. The mark is "" for
    cells that are left as they are: without a comma, or most of them no figures.
    """
    texts = [_SPACES.sub("", text) if isinstance(text, str) else text for text in texts]
    figures = _figures(texts)
    filled = sum(isinstance(text, str) and bool(text.strip()) for text in texts)
    if not any("," in figure for figure in figures) or len(figures) <= filled / 2:
        return list(texts), ""
    lead = _lead(figures)
    mark = likely if lead == 0 else "," if lead > 0 else "."
    return _by_mark(texts, mark), mark


def _figures(texts: Sequence[Any]) -> list[str]:
    """What is a figure in each cell that has one, without its sign and unit."""
    found = (_FIGURE.fullmatch(text) if isinstance(text, str) else None for text in texts)
    return [match[1] for match in found if match]


def _lead(figures: Sequence[str]) -> int:
    """By how many figures more the comma is the decimal mark than the point."""
    fits = {mark: sum(bool(form.fullmatch(f)) for f in figures) for mark, form in _BY_MARK.items()}
    return fits[","] - fits["."]


def _by_mark(texts: Sequence[Any], mark: str) -> list[Any]:
    """Cells with a decimal point where ``mark`` was the decimal mark, and no thousands marks."""
    other = "." if mark == "," else ","
    result = []
    for text in texts:
        match = _FIGURE.fullmatch(text) if isinstance(text, str) else None
        if match is not None and _BY_MARK[mark].fullmatch(match[1]):
            plain = match[1].replace(other, "").replace(mark, ".")
            text = text[: match.start(1)] + plain + text[match.end(1) :]
        result.append(text)
    return result


def _may_be_thousands(texts: Sequence[Any]) -> bool:
    """Whether all points in cells may be thousands marks, and there is one: "950", "1.072"."""
    has_point = False
    for text in texts:
        if text is None or text != text:
            continue
        match = _FIGURE.fullmatch(text) if isinstance(text, str) else None
        if match is None or not _BY_MARK[","].fullmatch(match[1]):
            return False
        has_point = has_point or "." in match[1]
    return has_point


def figured(part: pd.DataFrame) -> pd.DataFrame:
    """Return a table of texts with figures where no point of a column may be a thousands mark."""
    import pandas as pd

    part = part.copy(deep=False)
    for place in range(part.shape[1]):
        column = part.iloc[:, place]
        if column.dtype.kind in "iufbM" or _may_be_thousands(column.tolist()):
            continue
        first = column[column.notna()].iloc[:1]
        if pd.to_numeric(first, errors="coerce").isna().any():
            continue  # a column of dates takes its time to fail at each
        numbers = pd.to_numeric(column, errors="coerce")
        if numbers.notna().sum() == column.notna().sum():
            part.isetitem(place, numbers.to_numpy())
    return part


def frame_with_points(
    frame: pd.DataFrame, likely: str, options: Options
) -> tuple[pd.DataFrame, list[str]]:
    """Return a table whose figures have a decimal point, and what to say of those that had none.

    Points that may be thousands marks are these where the rest of the table has decimal commas, or
    where they are ``likely`` and a figure is no such fraction: of bytes, KiB or a count.
    """
    marked: dict[str, list[str]] = {}
    frame = frame.copy(deep=False)
    texts = {
        place: frame.iloc[:, place].tolist()
        for place in range(frame.shape[1])
        if frame.iloc[:, place].dtype.kind not in "iufbM"
    }
    pointed = [place for place, cells in texts.items() if _may_be_thousands(cells)]
    lead = _lead([f for cells in texts.values() for f in _figures(cells)])
    whole = [float(n) for _, c in frame.items() if c.dtype.kind == "f" for n in c.dropna()[:50]]
    if any(number % 1 for number in whole):
        lead = min(lead, 0) - 1
    for place, cells in texts.items():
        name = str(frame.columns[place])
        found, mark = with_points(cells, likely)
        if place in pointed and not mark:
            thousands = lead > 0 or (lead == 0 and likely == "," and _is_whole(name, options))
            found = _by_mark(found, "," if thousands else ".")
            mark = "points" if thousands else ""
        if found != cells:
            frame.isetitem(place, found)
        if mark:
            marked.setdefault(mark, []).append(name)
    words = {",": "decimal comma", ".": "commas as thousands", "points": "points as thousands"}
    return frame, [f"{words[mark]} in {', '.join(names[:5])}" for mark, names in marked.items()]


def _is_whole(name: str, options: Options) -> bool:
    """Whether a column of memory or a count has no thousandths: those of a MiB are written."""
    asked = any(text.partition("=")[0] == name for text in options.values)
    if not (asked or known.resource_of(name) or known.is_memory(name)):
        return False
    unit = unit_option(options.unit) if options.unit else unit_in_name(name)
    return unit is None or unit <= _LARGEST_WHOLE


def is_in_unit(name: str, options: Options) -> bool:
    """Whether ``--unit`` makes memory of the one column judged, whatever its name ("value")."""
    return bool(options.unit) and len(options.values) < 2 and not known.is_share(name)


def figures_of(column: pd.Series[Any], name: str, path: Path) -> tuple[Floats, int | None]:
    """Return the figures of a column, and the unit its cells say.

    Raises UsageError naming the first cell that is none.
    """
    import pandas as pd

    if column.dtype.kind in "iufb":
        return column.to_numpy(np.float64), None
    figures = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, copy=True)
    unit = None
    for row in np.flatnonzero(~np.isfinite(figures) & column.notna().to_numpy()):
        try:
            figures[row], said = cell(column.iloc[row])
        except ValueError:
            raise UsageError(
                f"not a figure in column {name}, row {row + 1}: {column.iloc[row]!r} in {path}; "
                "remove it, or name another column with --value COL"
            ) from None
        unit = said or unit
    return figures, unit


def scale_of_cells(column: pd.Series[Any]) -> int:
    """Return what one of the figures stands for in bytes, 1 where the cells say several units."""
    scales = {cell_scale(text) for text in column.dropna().unique()} - {None}
    return next(iter(scales)) or 1 if len(scales) == 1 else 1


def is_numeric(column: pd.Series[Any]) -> bool:
    """Return whether a column holds figures, perhaps with units, for the most part."""
    import pandas as pd

    if column.dtype.kind in "iuf":
        return bool(column.notna().any())
    if column.dtype.kind == "b" or not column.notna().any():
        return False
    some, _ = with_points(column.dropna().iloc[:50].tolist())
    good = 0
    for value in some:
        if isinstance(value, dict | list):
            return False
        with contextlib.suppress(ValueError):
            good += bool(pd.notna(cell(value)[0]))
    # One that is no figure among many is said, not passed over.
    return good > len(some) / 2


def unread_memory(frame: pd.DataFrame, group: str | None) -> list[str]:
    """Return what to say of columns that are memory by their name, but hold no figures."""
    said = []
    for name in frame.columns:
        memory = known.resource_of(name) == "rss_bytes" or known.is_primary(name)
        if memory and name != group and not is_numeric(frame[name]):
            cells = frame[name].dropna()
            what = (
                f"its cells are no figures: {str(cells.iloc[0])[:40]!r}" if len(cells) else "empty"
            )
            said.append(f"column {name} is known, but {what}")
    return said


def primary_of(frame: pd.DataFrame, names: Sequence[str], *, beside: bool) -> list[str]:
    """Return the column of memory to judge where no better one is there, in a list of one or none.

    ``beside`` other figures that are judged it must be memory by its name or by a unit: slots are
    used, too. What is used comes before a total, which may be what there is; a share comes last.
    """
    found = [name for name in names if known.is_primary(name)]
    if beside:
        found = [
            name
            for name in found
            if known.says_memory(name) or unit_in_name(name) or says_unit(frame[name])
        ]
    found.sort(key=lambda name: "total" in words_of(name))
    return (found or [name for name in names if known.is_memory_share(name)])[:1]


def says_unit(column: pd.Series[Any]) -> bool:
    """Return whether cells are written with a unit of bytes: they are memory, whatever the name."""
    return column.dtype.kind not in "iufb" and any(
        cell_scale(text) for text in column.dropna().iloc[:50]
    )


def nothing_known(path: Path, names: list[str], counters: list[str], frame: pd.DataFrame) -> str:
    """Return what to say of a table whose columns hold no memory that is known."""
    if counters and len(counters) == len(names):
        return (
            f"only counters: {path}; {counters[0]} never falls, so it grows in a healthy process "
            "too: export its rate, or a gauge such as process_resident_memory_bytes"
        )
    there = ", ".join(str(name) for name in list(frame.columns)[:20])
    return (
        f"no column of memory that is known: {path}; name one with --value COL=rss_bytes, of "
        f"{there}"
    )


def no_unit(frame: pd.DataFrame, name: str, path: Path) -> UsageError:
    """Return the error for a column of memory whose unit nothing says."""
    first = frame[name].dropna()
    shown = first.iloc[0] if len(first) else "nothing"
    return UsageError(
        f"no unit for column {name}: {shown} in {path}; say it with --unit bytes, KiB, MiB or MB"
    )
