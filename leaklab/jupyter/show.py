"""Showing things one after another in a cell: headings, sentences, figures, code differences."""

from __future__ import annotations

import html
from typing import Any

from leaklab.present.table import text_html

_COLOURS = {"+": "rgba(0,158,115,.22)", "-": "rgba(213,94,0,.22)", "@": "rgba(127,127,127,.2)"}


class CodeDifference:
    """A unified difference of code, coloured where there is colour."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text or "(the same code)"

    def _repr_html_(self) -> str:
        lines = "".join(
            f'<span style="display:block;background:{_COLOURS.get(line[:1], "transparent")}">'
            f"{html.escape(line) or ' '}</span>"
            for line in str(self).splitlines()
        )
        return f'<pre class="difference" style="line-height:1.35">{lines}</pre>'

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"text/plain": str(self), "text/html": self._repr_html_()}


def heading(text: str) -> None:
    """A small heading between outputs."""
    from IPython.display import Markdown, display

    display(Markdown(f"#### {text}"))


def say(text: str) -> None:
    """A paragraph."""
    from IPython.display import HTML, display

    display(HTML(f"<p>{text_html(text)}</p>"))


def show(value: object) -> None:
    """`value` by its own representation."""
    from IPython.display import display

    display(value)


def figure(axes: Any) -> None:
    """The figure of `axes` here, between the texts it belongs to, not at the end of the cell."""
    from IPython.display import display
    from matplotlib import pyplot

    display(axes.figure)
    pyplot.close(axes.figure)
