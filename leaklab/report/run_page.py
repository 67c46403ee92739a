"""The page of one run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from leaklab.report.pages import render, write_page
from leaklab.report.run_view import run_view

if TYPE_CHECKING:
    from leaklab.results.run import Run


# What an index beside the page says of the run, kept in ``<page>.run.json``.
_LISTED = ("label", "id", "created", "verdict", "reason")


def render_run(
    run: Run, out_path: str | Path, confidential: bool = False, index: str | None = None
) -> Path:
    """Write the page of a run and return its path.

    ``index``: address of the index in the page's folder, which the page links to and which is to
    list it (None: no link).

    ``confidential`` leaves out source lines, arguments, parameters and output of the target, and
    what it calls its files (but the standard library's), labels, tasks and threads.
    """
    if confidential:
        from leaklab.report.confidential import without_secrets

        run = without_secrets(run)
    view = run_view(run)
    html = render("run.html.j2", f"{view['label']}: leaklab", run=view, index=index)
    page = write_page(out_path, html)
    if index is not None:
        entry = {name: view[name] for name in _LISTED} | {"href": page.name}
        write_page(page.with_name(f"{page.name}.run.json"), json.dumps(entry))
    return page
