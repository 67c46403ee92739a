"""``papermill --engine leaklab``: papermill with the strictness of ``leaklab run``.

Parameters that the notebook does not declare, or whose values its comments do not allow, are
refused before a kernel starts; recordings write their progress as lines; and the executed
notebook's metadata says what its runs were judged: ``metadata.leaklab`` with ``verdict`` and
``runs``, as in verdict.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from papermill.engines import NBClientEngine

from leaklab.jobs.case_limits import check_cases
from leaklab.jobs.execution import environment
from leaklab.jobs.notebook import overall, runs_shown
from leaklab.jobs.parameters import check_values
from leaklab.jobs.parameters import notebook_parameters as declared


class LeaklabEngine(NBClientEngine):  # type: ignore[misc]
    """papermill's own engine between a check of the parameters and a note of the verdicts."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> Any:
        """Check, execute, note. Raises UsageError for a parameter that is not allowed."""
        notebook = nb_man.nb
        about = notebook.metadata.get("papermill", {})
        name = Path(str(about.get("input_path") or "notebook")).stem
        given = dict(about.get("parameters") or {})
        if given:
            known = declared(notebook, name)
            check_cases(notebook, known, check_values(known, given, name))
        with environment({"LEAKLAB_PROGRESS": "lines"}):
            try:
                return super().execute_managed_notebook(nb_man, kernel_name, **options)
            finally:
                runs = list(runs_shown(nb_man.nb))
                nb_man.nb.metadata["leaklab"] = {"verdict": overall(runs), "runs": runs}
