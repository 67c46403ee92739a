"""The page of one run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from leaklab.report.pages import render, write_page
from leaklab.report.run_view import run_view

if TYPE_CHECKING:
    from leaklab.results.run import Run


def render_run(run: Run, out_path: str | Path, confidential: bool = False) -> Path:
    """Write the page of a run and return its path.

    ``confidential`` leaves out source lines, arguments, parameters and output of the target, and
    what it calls its files (but the standard library's), labels, tasks and threads.
    """
    if confidential:
        from leaklab.report.confidential import without_secrets

        run = without_secrets(run)
    view = run_view(run)
    return write_page(out_path, render("run.html.j2", f"{view['label']}: leaklab", run=view))
