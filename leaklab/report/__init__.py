"""Pages from runs, cases and notebooks: self-contained HTML that asks nothing of the network."""

from leaklab.report.case_page import render_case
from leaklab.report.index_entry import IndexEntry, index_entry
from leaklab.report.notebook_page import notebook_html, render_notebook
from leaklab.report.pdf import to_pdf
from leaklab.report.run_page import render_run
from leaklab.report.site_index import NotebookLink, read_entries, render_index

__all__ = [
    "IndexEntry",
    "NotebookLink",
    "index_entry",
    "notebook_html",
    "read_entries",
    "render_case",
    "render_index",
    "render_notebook",
    "render_run",
    "to_pdf",
]
