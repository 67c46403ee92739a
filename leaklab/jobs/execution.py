"""Running a notebook through papermill, whatever becomes of it.

A notebook that fails, or whose kernel dies, comes back as far as it got, with the error in it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec

from leaklab.errors import LeaklabError
from leaklab.late_grammars import load_jsonschema
from leaklab.scratch import Scratch
from leaklab.store.location import STORE_VARIABLE, resolved_store

Progress = Callable[[str], None]


def execute(
    path: str,
    values: dict[str, Any],
    kernel: tuple[str, str],
    *,
    store: str | None,
    timeout: float | None,
    progress: Progress | None,
) -> tuple[Any, str | None]:
    """The executed notebook and, when it failed, the error in one line.

    ``kernel``: name and language.
    """
    load_jsonschema()
    import nbformat
    import papermill

    error: str | None = None
    # The kernel's working folder is the notebook's: it must not look for a store of its own.
    settings = {"LEAKLAB_PROGRESS": "lines", STORE_VARIABLE: resolved_store(store)}
    with Scratch("job") as folder, environment(settings):
        plain = Path(folder, "input.ipynb")
        with fsspec.open(path, "rb") as file:
            plain.write_bytes(file.read())
        target = Path(folder, "executed.ipynb")
        try:
            papermill.execute_notebook(
                plain,
                target,
                parameters=values,
                kernel_name=kernel[0],
                language=kernel[1],
                progress_bar=False,
                cwd=Path(path).parent if Path(path).exists() else None,
                execution_timeout=timeout,
                stdout_file=_Rewritten(progress) if progress else None,
                stderr_file=_Lines(progress) if progress else None,
                # Its warnings are about connections of machines we are not on, and its errors
                # about the interrupt that every shutdown of a kernel begins with.
                extra_arguments=["--IPKernelApp.log_level=50"],
            )
        except KeyboardInterrupt:
            # What it cuts off is asked by nobody what became of it, and asyncio would tell of that.
            logging.getLogger("asyncio").setLevel(logging.CRITICAL)
            raise
        except papermill.PapermillExecutionError as failure:
            error = f"{failure.ename}: {failure.evalue}"
        except RuntimeError as failure:  # nbclient: the kernel died, or a cell ran out of time
            if not target.exists():
                raise LeaklabError(f"{Path(path).stem} did not start: {failure}") from None
            error = _first_line(failure)
        executed = nbformat.read(target, as_version=4)
    for key in ("input_path", "output_path"):  # temporary names mean nothing to a reader
        executed.metadata.get("papermill", {}).pop(key, None)
    if error is not None and not _shows_error(executed):
        _show_error(executed, error)
    return executed, error


def _first_line(failure: BaseException) -> str:
    text = str(failure).strip() or type(failure).__name__
    return f"{type(failure).__name__}: {text.splitlines()[0]}"


def _shows_error(notebook: Any) -> bool:
    outputs = (output for c in notebook.cells for output in c.get("outputs", ()))
    return any(output.output_type == "error" for output in outputs)


def _show_error(notebook: Any, error: str) -> None:
    """Put `error` where it happened: into the first code cell that did not complete."""
    import nbformat

    codes = [c for c in notebook.cells if c.cell_type == "code"]
    unfinished = [c for c in codes if c.metadata.get("papermill", {}).get("status") != "completed"]
    name, _, text = error.partition(": ")
    output = nbformat.v4.new_output("error", ename=name, evalue=text, traceback=[error])
    (unfinished or codes)[0].outputs.append(output)


@contextmanager
def environment(settings: Mapping[str, str]) -> Iterator[None]:
    """`settings` in this process's environment, which a kernel inherits; then as before."""
    before = {key: os.environ.get(key) for key in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


class _Lines:
    """A text stream for papermill that hands whole lines on."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def write(self, text: str) -> None:
        for line in text.splitlines():
            if line.strip():
                self.progress(line.rstrip())

    def flush(self) -> None:
        pass


class _Rewritten(_Lines):
    """Of what a notebook prints, the lines of progress alone: a carriage return goes before each.

    What it prints besides is a result and stands in the notebook.
    """

    def write(self, text: str) -> None:
        _, *states = text.split("\r")
        for state in states:
            super().write(state.partition("\n")[0])
