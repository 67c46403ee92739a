"""An executed notebook as one readable page, through nbconvert with leaklab's own template."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from leaklab.late_grammars import load_jsonschema
from leaklab.plots.svg_text import outlines_svg
from leaklab.report.code import code_css, highlighted_source
from leaklab.report.notebook_output import Output, cell_outputs
from leaklab.report.pages import markup, render, text_of, write_page

PAGE_LIMIT_BYTES = 2_000_000
# What the page holds besides outputs: style, text, code.
_RESERVE_BYTES = 200_000
_HEADING = re.compile(r'<h([1-3])[^>]*? id="([^"]+)"[^>]*>(.*?)</h\1>', re.S)
_ANCHOR = re.compile(r'<a class="anchor-link".*?</a>', re.S)
_TAG = re.compile(r"<[^>]+>")
_CODE_TITLES = {"parameters": "Parameters", "injected-parameters": "Parameters of this run"}


@dataclass(frozen=True)
class _Heading:
    level: int
    id: str
    title: str


def render_notebook(notebook_path: str | Path, out_path: str | Path) -> Path:
    """Write an executed notebook as a page and return its path; a failed one too."""
    load_jsonschema()
    import nbformat

    notebook = nbformat.read(str(notebook_path), as_version=4)
    return write_page(out_path, notebook_html(notebook, title=Path(notebook_path).stem))


def notebook_html(notebook: Any, *, title: str | None = None) -> str:
    """An executed notebook as the text of an HTML page.

    Code is folded, and where the notebook failed the error is shown. The page stays under 2 MB:
    the largest outputs give way to their still image, or to a line that says what was left out.
    """
    outlines: dict[str, str] = {}
    outputs = _within_limit(
        [
            [output.without_outlines(outlines) for output in cell_outputs(cell)]
            for cell in notebook.cells
        ]
    )
    body = _body(notebook, outputs)
    opening, ended, rest = body.partition("</h1>")  # the contents follow the title
    opening, body = (f"{opening}{ended}", rest) if ended else ("", body)
    headings = [
        _Heading(int(level), name, _TAG.sub("", _ANCHOR.sub("", text)).strip())
        for level, name, text in _HEADING.findall(body)
    ]
    return render(
        "notebook.html.j2",
        title or (headings[0].title if headings else "leaklab notebook"),
        opening=markup(outlines_svg(outlines) + opening),
        body=markup(body),
        headings=[heading for heading in headings if heading.level > 1],
        code_css=code_css(),
        notebook_css=markup(text_of("notebook.css")),
    )


def _within_limit(outputs: list[list[Output]]) -> list[list[Output]]:
    """The outputs, the largest made smaller until all of them fit a page."""
    flat = [
        (len(o.html), cell, at) for cell, found in enumerate(outputs) for at, o in enumerate(found)
    ]
    total = sum(size for size, _, _ in flat)
    for size, cell, at in sorted(flat, reverse=True):
        if total <= PAGE_LIMIT_BYTES - _RESERVE_BYTES:
            break
        outputs[cell][at] = outputs[cell][at].smaller()
        total += len(outputs[cell][at].html) - size
    return outputs


def _body(notebook: Any, outputs: list[list[Output]]) -> str:
    """The cells as HTML. The template sees prepared outputs only: one HTML form each."""
    load_jsonschema()
    # Not HTMLExporter: it parses and rewrites the whole page, frames with their pages included.
    from nbconvert.exporters import TemplateExporter

    prepared = copy.deepcopy(notebook)
    for cell, found in zip(prepared.cells, outputs, strict=True):
        tags = set(cell.metadata.get("tags") or ())
        hidden = bool(tags & {"remove-cell", "remove_cell"})
        cell.metadata["leaklab_shown"] = bool(cell.source.strip() or found) and not hidden
        if cell.cell_type == "code":
            cell.metadata["leaklab_code"] = _code(cell, tags)
            cell.outputs = [
                type(cell)(output_type="display_data", data={"text/html": o.html}, metadata={})
                for o in found
            ]
    exporter = TemplateExporter(
        file_extension=".html",
        extra_template_basedirs=[str(resources.files("leaklab.report"))],
        template_name="notebook_template",
    )
    body, _ = exporter.from_notebook_node(prepared)
    return str(body)


def _code(cell: Any, tags: set[str]) -> str:
    if not cell.source.strip() or tags & {"remove-input", "remove_input"}:
        return ""
    title = next((text for tag, text in _CODE_TITLES.items() if tag in tags), "Code")
    shown = " open" if "injected-parameters" in tags else ""
    source = highlighted_source(cell.source)
    return f'<details class="code"{shown}><summary>{title}</summary>{source}</details>'
