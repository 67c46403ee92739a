"""Columns of cells as figures: which mark is the decimal one, and the unit that cells say."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leaklab.errors import UsageError
from leaklab.importers.units import cell

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# A figure as it begins a cell; a unit may follow, or a second figure behind a slash.
_FIGURE = re.compile(r"\s*[-+]?(\d[\d.,]*|[.,]\d+)(?:[eE][-+]?\d+)?\s*[A-Za-z%/]*\s*(?:/.*)?")
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
    found = [_FIGURE.fullmatch(text) if isinstance(text, str) else None for text in texts]
    figures = [match[1] for match in found if match]
    filled = sum(isinstance(text, str) and bool(text.strip()) for text in texts)
    if not any("," in figure for figure in figures) or len(figures) <= filled / 2:
        return list(texts), ""
    fits = {mark: [bool(form.fullmatch(f)) for f in figures] for mark, form in _BY_MARK.items()}
    lead = sum(fits[","]) - sum(fits["."])
    mark = likely if lead == 0 else "," if lead > 0 else "."
    other = "." if mark == "," else ","
    result = []
    for text, match in zip(texts, found, strict=True):
        if match is not None and _BY_MARK[mark].fullmatch(match[1]):
            plain = match[1].replace(other, "").replace(mark, ".")
            text = text[: match.start(1)] + plain + text[match.end(1) :]
        result.append(text)
    return result, mark


def frame_with_points(frame: pd.DataFrame, likely: str = ".") -> tuple[pd.DataFrame, list[str]]:
    """Return a table whose figures have a decimal point, and what to say of those that had none."""
    marked: dict[str, list[str]] = {}
    frame = frame.copy(deep=False)
    for place, name in enumerate(frame.columns):
        column = frame.iloc[:, place]
        if column.dtype.kind in "iufbM":
            continue
        cells, mark = with_points(column.tolist(), likely)
        if mark:
            frame.isetitem(place, cells)
            marked.setdefault(mark, []).append(str(name))
    words = {",": "decimal comma", ".": "commas as thousands"}
    return frame, [f"{words[mark]} in {', '.join(names[:5])}" for mark, names in marked.items()]


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
