"""Notebooks as strict jobs, and batches of recordings.

papermill runs a notebook with whatever it is given; these jobs look first (names, types, ranges),
then execute, render and leave a verdict.json. Nothing here analyses anything.
"""

from leaklab.catalogue.parameters import Parameter
from leaklab.jobs.notebook import (
    NotebookResult,
    find_notebook,
    notebook_parameters,
    run_notebook,
)
from leaklab.jobs.parameters import describe
from leaklab.jobs.site import SiteResult, report_all

__all__ = [
    "NotebookResult",
    "Parameter",
    "SiteResult",
    "describe",
    "find_notebook",
    "notebook_parameters",
    "report_all",
    "run_notebook",
]
