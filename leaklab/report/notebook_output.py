"""Outputs of notebook cells as HTML, one form each, with a smaller form for full pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Any

from leaklab.last_words import plain
from leaklab.late_grammars import load_jsonschema
from leaklab.plots.style import INK
from leaklab.plots.svg_text import compact, take_outlines

_TEXT_LIMIT = 60_000
_MESSAGE_LINES = 5
# Text of a DataFrame's cell that makes its column as wide as it is long.
_LONG_CELL = re.compile(r"(?<=<td>)[^<]{20,}(?=</td>)")
_PUNCTUATION = re.compile(r"[/._(,=]")
# Scripts of other tools would ask the network, or not run here: their text form is shown.
_FORMS = ("text/html", "image/svg+xml", "image/png", "image/jpeg", "text/markdown", "text/plain")


@dataclass(frozen=True)
class Output:
    """One output: its HTML, and the still form that may stand in for it ("": none)."""

    html: str
    still: str

    def without_outlines(self, outlines: dict[str, str]) -> Output:
        """The output with the letters' outlines put into `outlines`, once for the page."""
        return Output(take_outlines(self.html, outlines), take_outlines(self.still, outlines))

    def smaller(self) -> Output:
        """The still form where it is smaller, else a line that says what was left out."""
        if self.still and len(self.still) < len(self.html):
            return Output(self.still, "")
        size = len(self.html) / 1e6
        return Output(
            f'<p class="soft">An output of {size:.1f} MB is left out of this page.</p>', ""
        )


def cell_outputs(cell: Any) -> list[Output]:
    """The outputs of a cell, streams joined, in the order they came."""
    found: list[Output] = []
    for kind, group in groupby(cell.get("outputs") or (), key=_kind):
        if kind in ("stdout", "stderr"):
            found += _stream(kind, "".join(output.text for output in group))
        elif kind == "error":
            found += map(_error, group)
        else:
            found += [shown for output in group for shown in _display(output)]
    return found


def _kind(output: Any) -> str:
    return str(output.name if output.output_type == "stream" else output.output_type)


def _stream(name: str, text: str) -> list[Output]:
    if name == "stdout":
        # Progress of recordings begins so: what was recorded, the figures say.
        text = "\n".join(line for line in text.split("\n") if not line.startswith("\r"))
    shown = _plain(text)
    line_count = len(shown.splitlines())
    if not shown.strip():
        return []
    block = f"<pre>{escape(shown)}</pre>"
    if name == "stderr" and line_count > _MESSAGE_LINES:
        # Progress of recordings: there to be looked up, not to be read.
        block = f"<details><summary>{line_count} lines of messages</summary>{block}</details>"
    return [Output(_box(block), "")]


def _error(output: Any) -> Output:
    trace = "\n".join(output.get("traceback") or ()) or f"{output.ename}: {output.evalue}"
    return Output(_box(f"<pre>{escape(_plain(trace))}</pre>", "out error"), "")


def _display(output: Any) -> list[Output]:
    data = output.get("data") or {}
    form = next((name for name in _FORMS if name in data), None)
    if form is None:
        return []
    image = next((name for name in ("image/svg+xml", "image/png") if name in data), None)
    still = _form(image, data, output) if image and image != form else ""
    shown = _form(form, data, output)
    return [Output(_box(shown), _box(still) if still else "")] if shown.strip() else []


def _form(form: str, data: Any, output: Any) -> str:
    content = "".join(data[form])
    about = (output.get("metadata") or {}).get(form) or {}
    alt = escape(str(about.get("alt") or _plain("".join(data.get("text/plain", "")))), quote=True)
    if form == "text/html":
        return _LONG_CELL.sub(_breakable, content)
    if form == "image/svg+xml":
        return _svg(content, alt)
    if form.startswith("image/"):
        return f'<img alt="{alt}" src="data:{form};base64,{"".join(content.split())}">'
    if form == "text/markdown":
        load_jsonschema()
        from nbconvert.filters import markdown2html

        return str(markdown2html(content))
    return f"<pre>{escape(_plain(content))}</pre>"


def _breakable(cell: re.Match[str]) -> str:
    """Paths and source lines of a DataFrame, which may break after their punctuation."""
    return _PUNCTUATION.sub(r"\g<0><wbr>", cell[0])


def _svg(content: str, alt: str) -> str:
    """The SVG inline, its ink the page's text colour."""
    drawing = content[content.index("<svg") :] if "<svg" in content else ""
    drawing = compact(drawing).replace(INK, "currentColor")
    if 'role="img"' in drawing[:400]:
        return drawing
    return drawing.replace("<svg", f'<svg role="img" aria-label="{alt}"', 1)


def _box(inner: str, kind: str = "out") -> str:
    return f'<div class="{kind}">{inner}</div>'


def _plain(text: str) -> str:
    """Text without terminal escapes; of a line rewritten by carriage returns its last state."""
    lines = (line.rstrip("\r").rsplit("\r", 1)[-1] for line in plain(text).split("\n"))
    shown = "\n".join(lines)
    if len(shown) <= _TEXT_LIMIT:
        return shown
    half = _TEXT_LIMIT // 2
    return f"{shown[:half]}\n[{len(shown) - _TEXT_LIMIT:,} characters left out]\n{shown[-half:]}"
