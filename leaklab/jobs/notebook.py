"""One notebook as a job: refuse, execute, render, write down the verdict.

``<output>/<notebook>/`` gets the executed notebook, its HTML and verdict.json. The output may be
any fsspec URL. A notebook that fails is rendered up to the failure, with the error in it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec

from leaklab.catalogue.parameters import Parameter
from leaklab.errors import LeaklabError, UsageError
from leaklab.jobs import earlier
from leaklab.jobs import parameters as cell
from leaklab.jobs.case_limits import check_cases
from leaklab.jobs.execution import Progress, execute
from leaklab.jobs.kernels import kernel_of
from leaklab.jobs.tasks import sources_digest
from leaklab.recorder.fingerprint import is_unchanged
from leaklab.results.run import VERDICT_MIME

VERDICT_SCHEMA = 1
# What --fail-on may name. "unexpected": a case measured other than it declares.
# "worse": than in the newest earlier job with the same parameters.
FAIL_ON = ("leak", "inconclusive", "unexpected", "worse")


@dataclass(frozen=True)
class NotebookResult:
    """What a notebook job left behind. Paths are as given: local or URL."""

    name: str
    state: str  # "done", "failed", or "kept" (done before by a job with the same inputs)
    executed: str
    html: str
    verdict_file: str
    runs: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None
    changed: list[dict[str, Any]] = field(default_factory=list)

    def exit_status(self, fail_on: tuple[str, ...] = ()) -> int:
        """1 when the notebook failed, 3 when a run's verdict is in `fail_on`, else 0."""
        for unknown in set(fail_on) - set(FAIL_ON):
            raise UsageError(f"--fail-on: {unknown!r}; allowed is {', '.join(FAIL_ON)}")
        if self.state == "failed":
            return 1
        found = {str(run.get("verdict")) for run in self.runs}
        if any(run.get("as_expected") is False for run in self.runs):
            found.add("unexpected")
        if any(entry.get("outcome") == "worse" for entry in self.changed):
            found.add("worse")
        return 3 if found & set(fail_on) else 0


def own_folders() -> list[Path]:
    """Where notebooks of leaklab's own may be: here, in the checkout, in the installed package."""
    package = Path(__file__).parent.parent
    folders = (Path("notebooks"), package.parent / "notebooks", package / "notebooks")
    return [folder for folder in folders if any(folder.glob("*.ipynb"))]


def find_notebook(name: str) -> Path:
    """The notebook of leaklab's own with this name (``99-your-own-script``).

    Raises UsageError when there is none.
    """
    folders = own_folders()
    for folder in folders:
        if (folder / f"{name}.ipynb").is_file():
            return folder / f"{name}.ipynb"
    known = sorted({file.stem for folder in folders for file in folder.glob("*.ipynb")})
    raise UsageError(f"no such notebook: {name}; allowed: {', '.join(known) or 'none found'}")


def _located(path: str | Path) -> str:
    """`path`, or where nothing is there the notebook of leaklab's own that it names."""
    named = Path(path)
    if "://" not in str(path) and not named.is_file() and str(named.parent) in (".", "notebooks"):
        with contextlib.suppress(UsageError):
            return str(find_notebook(named.name.removesuffix(".ipynb")))
    return str(path)


def notebook_parameters(path: str | Path) -> list[Parameter]:
    """The parameters of the notebook at `path` (local, URL, or the name of leaklab's own).

    Raises LeaklabError when it cannot be read or its parameters cell is missing or unclear.
    """
    return cell.notebook_parameters(_read(_located(path)), _name(path))


def notebook_title(path: str | Path) -> str:
    """The first heading of the notebook at `path`; its file name where there is none."""
    for cell_ in _read(_located(path))["cells"]:
        first = "".join(cell_.get("source", "")).lstrip().splitlines()[:1]
        if cell_.get("cell_type") == "markdown" and first and first[0].startswith("# "):
            return first[0].removeprefix("# ").strip()
    return _name(path)


def run_notebook(
    path: str | Path,
    parameters: Mapping[str, object] | None = None,
    *,
    output_dir: str | Path = "data/reports",
    store: str | None = None,
    kernel: str | None = None,
    resume: bool = False,
    cell_timeout_seconds: float | None = None,
    progress: Progress | None = None,
) -> NotebookResult:
    """Execute the notebook at `path` with `parameters`, render it, write verdict.json.

    `path` may be the name of one of leaklab's own. `parameters` may be text (from a command line)
    or values. `store` is where its recordings go. `kernel` runs it instead of the one it names.
    `resume` keeps what an earlier job with the same notebook, parameters and leaklab has left,
    while the code that its runs were recorded from, and files that parameters name, are the same.
    `progress` gets what the notebook writes to stderr, and its progress, line by line. What an
    earlier job has left is moved to ``earlier/``, and what changed since the newest with the same
    parameters is said on top of the page and in verdict.json (``changed``, with ``since``).

    Raises UsageError before anything starts when a parameter is unknown or not allowed, also by a
    case that the notebook records, and LeaklabError when the notebook is unreadable, its kernel not
    installed or the output not to be written. A notebook whose code fails raises nothing: its state
    is "failed".
    """
    path = _located(path)
    source = _read(path)
    name = _name(path)
    declared = cell.notebook_parameters(source, name)
    values = cell.check_values(declared, parameters or {}, name)
    check_cases(source, declared, values)
    runs_in = kernel_of(source, name, kernel)
    files = _files(declared, values, Path(path).parent)
    output = _Output(str(output_dir), name)
    fingerprint = _fingerprint(source, values, files, runs_in)
    if resume and (kept := output.kept(fingerprint)) is not None:
        return kept
    output.make()
    started = time.time()
    executed, error = execute(
        path, values, runs_in, store=store, timeout=cell_timeout_seconds, progress=progress
    )
    runs = list(runs_shown(executed))
    since, changed = _changed(output.earlier(values), runs, executed)
    record = {
        "schema_version": VERDICT_SCHEMA,
        "notebook": name,
        "state": "failed" if error else "done",
        "verdict": overall(runs),
        "error": error,
        "parameters": values,
        "runs": runs,
        "since": since,
        "changed": changed,
        "fingerprint": fingerprint,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "duration_seconds": round(time.time() - started, 3),
    }
    return output.write(executed, record)


def _changed(
    before: dict[str, Any] | None, runs: list[dict[str, Any]], executed: Any
) -> tuple[Any, list[dict[str, Any]]]:
    """Return when the job before this one started and what has changed; say so in the notebook."""
    if before is None:
        return None, []
    changed = list(earlier.changes(before, runs))
    _say_on_top(executed, earlier.notice(str(before["started"]), changed))
    return before["started"], changed


class _Output:
    """The folder of one notebook's results."""

    def __init__(self, directory: str, name: str) -> None:
        self.name = name
        self.directory = f"{directory.rstrip('/')}/{name}"
        self.filesystem, self.root = fsspec.core.url_to_fs(self.directory)

    def make(self) -> None:
        """Fail now, not after minutes of work, when the output cannot be written."""
        try:
            self.filesystem.makedirs(self.root, exist_ok=True)
            if "file" in self.filesystem.protocol and not os.access(self.root, os.W_OK):
                raise PermissionError("no permission to write")
        except (OSError, ValueError) as error:
            raise LeaklabError(
                f"cannot write to: {self.directory}: {error}; choose another --output"
            ) from None

    def earlier(self, values: Mapping[str, object]) -> dict[str, Any] | None:
        """Put the last output out of the way; the newest with the same parameters, if any."""
        try:
            earlier.keep(self.filesystem, self.root, self.name)
            return earlier.newest(self.filesystem, self.root, dict(values))
        except OSError as error:
            raise LeaklabError(
                f"cannot write to: {self.directory}: {error}; choose another --output"
            ) from None

    def kept(self, fingerprint: str) -> NotebookResult | None:
        try:
            with self.filesystem.open(f"{self.root}/verdict.json", "r") as file:
                record = json.load(file)
        except (OSError, ValueError):
            return None
        files = [f"{self.root}/{self.name}.html", f"{self.root}/{self.name}.ipynb"]
        done = record.get("state") == "done" and record.get("fingerprint") == fingerprint
        if not done or not all(self.filesystem.exists(file) for file in files):
            return None
        # What was not recorded of a command says nothing of the kind: its code is the notebook's.
        code = [run["recorded_from"] for run in record["runs"] if run.get("recorded_from")]
        if not all(map(is_unchanged, code)):
            return None
        return self.result(record, "kept")

    def write(self, executed: Any, record: dict[str, Any]) -> NotebookResult:
        import nbformat

        from leaklab.report import notebook_html

        contents = {
            f"{self.name}.ipynb": nbformat.writes(executed),
            f"{self.name}.html": notebook_html(executed, title=self.name),
            # Last: whoever finds it may rely on the others being there.
            "verdict.json": json.dumps(record, indent=1) + "\n",
        }
        try:
            for file, content in contents.items():
                with (
                    self.filesystem.transaction,
                    self.filesystem.open(f"{self.root}/{file}", "wb") as stream,
                ):
                    stream.write(content.encode())
        except OSError as error:
            raise LeaklabError(
                f"cannot write to: {self.directory}: {error}; choose another --output"
            ) from None
        return self.result(record, record["state"])

    def result(self, record: dict[str, Any], state: str) -> NotebookResult:
        return NotebookResult(
            name=self.name,
            state=state,
            executed=f"{self.directory}/{self.name}.ipynb",
            html=f"{self.directory}/{self.name}.html",
            verdict_file=f"{self.directory}/verdict.json",
            runs=record["runs"],
            error=record["error"],
            changed=record.get("changed") or [],
        )


def _name(path: str | Path) -> str:
    return Path(str(path).split("://")[-1]).stem


def _read(path: str) -> dict[str, Any]:
    try:
        with fsspec.open(path, "r", encoding="utf-8") as file:
            notebook = json.load(file)
    except FileNotFoundError:
        raise UsageError(
            f"no such notebook: {path}; give the path of an .ipynb file, or the name of one of "
            "leaklab's own, such as 99-your-own-script"
        ) from None
    except (OSError, ValueError) as error:
        raise LeaklabError(
            f"cannot read as a notebook: {path}: {error}; give the path of an .ipynb file"
        ) from None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise LeaklabError(f"no notebook: {path}; give the path of an .ipynb file")
    return notebook


def _say_on_top(notebook: Any, text: str) -> None:
    """Put a paragraph below the title."""
    import nbformat

    said = nbformat.v4.new_markdown_cell(text, id="leaklab-since", metadata={"tags": ["since"]})
    notebook.cells.insert(min(1, len(notebook.cells)), said)


def runs_shown(notebook: Any) -> Iterator[dict[str, Any]]:
    """Every run a cell of `notebook` has shown, once each, as its representation describes it."""
    seen: set[str] = set()
    for code in notebook.cells:
        for output in code.get("outputs", ()):
            shown = output.get("data", {}).get(VERDICT_MIME)
            for run in shown if isinstance(shown, list) else [shown]:
                if isinstance(run, dict) and str(run.get("run")) not in seen:
                    seen.add(str(run.get("run")))
                    yield dict(run)


def overall(runs: list[dict[str, Any]]) -> str | None:
    """The gravest verdict shown; None when none was."""
    verdicts = {run.get("verdict") for run in runs}
    return next((v for v in ("leak", "inconclusive", "bounded") if v in verdicts), None)


def _fingerprint(
    notebook: dict[str, Any], values: dict[str, Any], files: list[Any], kernel: tuple[str, str]
) -> str:
    """Equal when a rerun would execute the same code with the same values, files and kernel."""
    sources = [(c.get("cell_type"), "".join(c.get("source", ""))) for c in notebook["cells"]]
    text = json.dumps([sources, values, files, kernel, sys.version, sources_digest()])
    return hashlib.sha256(text.encode()).hexdigest()


def _files(
    declared: list[Parameter], values: dict[str, Any], folder: Path
) -> list[tuple[str, int, int]]:
    """Those values that name a file, seen from the notebook's folder, with its size and time."""
    found = []
    for value in ({one.name: one.default for one in declared} | values).values():
        with contextlib.suppress(OSError, ValueError):  # nor is a text too long for any name
            path = folder / str(value)
            if isinstance(value, str) and path.is_file():
                found.append((value, path.stat().st_size, path.stat().st_mtime_ns))
    return found
