"""A table that reads well in a notebook, a report and a terminal: text wraps, numbers align."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Sequence
from html import escape
from typing import Any

_CELL = "padding:.25em .8em .25em 0;vertical-align:top;border:0;"
_NARROWEST = 12
_CODE = re.compile(r"`([^`]+)`")


def text_html(text: str) -> str:
    """Text as HTML, with what stands between backticks as code."""
    return _CODE.sub(r"<code>\1</code>", escape(text))


def names_html(text: str) -> str:
    """Text that is mostly names as HTML: a narrow column may break them where their words end."""
    return escape(text).replace("_", "_<wbr>")


class Table:
    """Rows of text under `columns`; columns in `numbers` are aligned to the right.

    `data` is a further representation by MIME type, for a program that reads the notebook.
    """

    def __init__(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[object]],
        *,
        numbers: Sequence[str] = (),
        data: dict[str, Any] | None = None,
    ) -> None:
        self.columns = list(columns)
        self.rows = [["" if value is None else str(value) for value in row] for row in rows]
        self.numbers = set(numbers)
        self.data = data or {}

    def __str__(self) -> str:
        """In the width of the terminal, the longest columns wrapped."""
        room = shutil.get_terminal_size((110, 25)).columns - 2 * len(self.columns)
        lines = [self.columns, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        while sum(widths) > room and max(widths) > _NARROWEST:
            widths[widths.index(max(widths))] -= 1
        return "\n".join(self._text_row(line, widths) for line in lines)

    def _text_row(self, row: Sequence[str], widths: Sequence[int]) -> str:
        cells = [
            textwrap.wrap(value, width) or [""] for value, width in zip(row, widths, strict=True)
        ]
        height = max(len(cell) for cell in cells)
        lines = [[cell[i] if i < len(cell) else "" for cell in cells] for i in range(height)]
        return "\n".join(
            "  ".join(
                value.rjust(width) if name in self.numbers else value.ljust(width)
                for value, width, name in zip(line, widths, self.columns, strict=True)
            ).rstrip()
            for line in lines
        )

    def html(self) -> str:
        """The table as HTML."""
        number = "text-align:right;white-space:nowrap"
        align = {
            name: number if name in self.numbers else "text-align:left" for name in self.columns
        }
        head = "".join(
            f'<th style="{_CELL}{align[name]}">{escape(name)}</th>' for name in self.columns
        )
        body = "".join(
            "<tr>"
            + "".join(
                f'<td style="{_CELL}{align[name]}">{text_html(value)}</td>'
                for name, value in zip(self.columns, row, strict=True)
            )
            + "</tr>"
            for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"text/plain": str(self), "text/html": self.html(), **self.data}
