"""Showing things one after another in a cell: sentences and figures."""

from __future__ import annotations

from typing import Any

from leaklab.present.table import text_html


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
