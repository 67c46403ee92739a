"""A difference of code as a notebook shows it, and a sentence."""

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


class Sentence(str):
    """A text that a notebook shows as a paragraph, what stands between backticks as code."""

    __slots__ = ()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"text/plain": str(self), "text/html": f"<p>{text_html(self)}</p>"}
