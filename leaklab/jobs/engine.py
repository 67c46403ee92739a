"""``papermill --engine leaklab``: papermill with the strictness of ``leaklab run``.

Parameters that the notebook does not declare, or whose values its comments do not allow, are
refused before a kernel starts; recordings write their progress as lines; and the executed
notebook's metadata says what its runs were judged: ``metadata.leaklab`` with ``verdict`` and
``runs``, as in verdict.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from papermill.engines import NBClientEngine

from leaklab.end_signals import as_interrupts
from leaklab.errors import UsageError
from leaklab.jobs.case_limits import check_cases
from leaklab.jobs.execution import environment
from leaklab.jobs.notebook import overall, runs_shown
from leaklab.jobs.parameters import check_values
from leaklab.jobs.parameters import notebook_parameters as declared


class RefusedError(UsageError, click.ClickException):
    """What papermill's command, which is click's, ends with in one line and exit status 2.

    Who calls ``papermill.execute_notebook`` catches a UsageError as from `leaklab.jobs`.
    """

    exit_code = 2

    def show(self, file: Any = None) -> None:
        """Write the line as leaklab's own command does."""
        click.echo(f"leaklab: {self.message}", file=file, err=file is None)


class LeaklabEngine(NBClientEngine):  # type: ignore[misc]
    """papermill's own engine between a check of the parameters and a note of the verdicts."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> Any:
        """Check, execute, note. Raises UsageError for a parameter that is not allowed."""
        notebook = nb_man.nb
        about = notebook.metadata.get("papermill", {})
        name = Path(str(about.get("input_path") or "notebook")).stem
        given = dict(about.get("parameters") or {})
        try:
            if given:
                known = declared(notebook, name)
                check_cases(notebook, known, check_values(known, given, name))
        except UsageError as refused:
            raise RefusedError(str(refused)) from None
        with environment({"LEAKLAB_PROGRESS": "lines"}), as_interrupts():
            try:
                return super().execute_managed_notebook(nb_man, kernel_name, **options)
            finally:
                runs = list(runs_shown(nb_man.nb))
                nb_man.nb.metadata["leaklab"] = {"verdict": overall(runs), "runs": runs}
