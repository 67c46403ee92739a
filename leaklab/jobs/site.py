"""The whole report site: every case recorded and rendered, every notebook executed, one index."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec

from leaklab.errors import UsageError
from leaklab.jobs import earlier, fork_server
from leaklab.jobs.batch import BatchResult, run_batch
from leaklab.jobs.notebook import NotebookResult, notebook_parameters, notebook_title
from leaklab.jobs.tasks import RecordingTask

Progress = Callable[[str], None]
NOTEBOOK_LIMIT_SECONDS = 1800.0
# What every job of a notebook needs.
_IMPORTS = ("papermill", "nbconvert.exporters.html", "leaklab.jobs.notebook", "leaklab.report")


@dataclass(frozen=True)
class SiteResult:
    """What was made: the cases' recordings, the notebooks, and the page that lists them."""

    cases: BatchResult
    notebooks: list[NotebookResult]
    index: Path

    def exit_status(self, fail_on: Sequence[str] = ()) -> int:
        """1 when a case or a notebook failed, 3 when a run is what `fail_on` names, else 0."""
        if any(notebook.state == "failed" for notebook in self.notebooks):
            return 1
        return self.cases.exit_status(fail_on)


def report_all(
    *,
    output_dir: str | Path = "data/reports",
    notebooks: str | Path = "notebooks",
    store: str | None = None,
    quick: bool = True,
    parallel: int = 2,
    fresh: bool = False,
    progress: Progress | None = None,
) -> SiteResult:
    """Record every case, execute every notebook of the folder `notebooks`, write the index.

    What was recorded or executed before with the same inputs is kept, unless `fresh`. A case or
    notebook that fails is shown as failed and stops nothing. Raises UsageError when `output_dir`
    is no local folder.
    """
    from leaklab.catalogue.model import catalogue
    from leaklab.report import NotebookLink, read_entries, render_case, render_index
    from leaklab.report.site_index import CASES_FOLDER

    if "://" in str(output_dir):
        raise UsageError(f"the site needs a local folder: {output_dir}; copy it afterwards")
    folder = Path(output_dir)
    pages = folder / CASES_FOLDER
    pages.mkdir(parents=True, exist_ok=True)
    paths = sorted(Path(notebooks).glob("*.ipynb"))
    tasks = [
        RecordingTask(
            case.id, None, quick=quick, fresh=fresh, store=store, pages=str(pages.resolve()),
            notebook=_notebook_of(case.mechanism, paths),
        )
        # The slow ones first: of two that work, one waits for the last case of the other.
        for case in sorted(catalogue().values(), key=lambda case: not case.slow)
        if case.runnable
    ]  # fmt: skip
    recorded = run_batch(tasks, parallel=parallel, resume=False, progress=progress)
    for case in catalogue().values():
        if not case.runnable:
            render_case(case, {}, pages)
    executed = []
    for result in _execute(paths, folder, store, quick, parallel, fresh):
        executed.append(result)
        if progress:
            progress(f"notebook {result.name}: {result.state} {result.error or ''}".rstrip())
    here = fsspec.filesystem("file")
    links = [
        NotebookLink(
            notebook_title(path),
            f"{path.stem}/{path.stem}.html",
            earlier.trend(here, str(folder / path.stem)),
        )
        for path in paths
        if (folder / path.stem / f"{path.stem}.html").exists()
    ]
    index = render_index(read_entries(folder), folder, links)
    return SiteResult(recorded, executed, index)


def _notebook_of(mechanism: str, paths: Sequence[Path]) -> str | None:
    """The address of a mechanism's rendered notebook, as seen from a case's page."""
    found = [path.stem for path in paths if path.stem.partition("-")[2] == mechanism]
    return f"../{found[0]}/{found[0]}.html" if found else None


def _execute(
    paths: Sequence[Path],
    folder: Path,
    store: str | None,
    quick: bool,
    parallel: int,
    fresh: bool,
) -> Iterator[NotebookResult]:
    """Each notebook by a `leaklab run` of its own: papermill works in one folder at a time."""
    with fork_server.threads_of_calls(parallel, "leaklab-notebook") as pool:
        yield from pool.map(
            lambda path: _execute_one(path, folder, store, quick, fresh), paths, chunksize=1
        )


def _execute_one(
    path: Path, folder: Path, store: str | None, quick: bool, fresh: bool
) -> NotebookResult:
    known = {parameter.name for parameter in notebook_parameters(path)}
    command = ["run", str(path), "--output", str(folder)]
    if store is not None:
        command += ["--store", store]
    for name, value in (("quick", quick), ("links", True)):
        if name in known:
            command += ["-p", name, str(value).lower()]
    if not fresh:
        command.append("--resume")
    output = folder / path.stem
    record: dict[str, Any] = {}
    outcome = fork_server.call(
        "leaklab.cli:main", command, imports=_IMPORTS, time_limit_seconds=NOTEBOOK_LIMIT_SECONDS
    )
    error: str | None = outcome.said
    if not outcome.timed_out:
        with contextlib.suppress(OSError, ValueError):
            record = json.loads((output / "verdict.json").read_text(encoding="utf-8"))
        if (outcome.result == 0) == (record.get("state") == "done"):
            error = record.get("error")
        else:  # what is there is of an earlier job; this one did not get so far
            record = {}
    return NotebookResult(
        name=path.stem,
        state=record.get("state", "failed"),
        executed=str(output / f"{path.stem}.ipynb"),
        html=str(output / f"{path.stem}.html"),
        verdict_file=str(output / "verdict.json"),
        runs=record.get("runs", []),
        error=error,
    )
