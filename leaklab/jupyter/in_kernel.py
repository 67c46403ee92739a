"""Recording a cell in the kernel itself, so that it sees and leaves variables like any other.

The probe is opened in this process as it is in a target, and talks to a recorder beside it.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import gc
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaklab.errors import LeaklabError
from leaklab.jupyter.ending import Ending
from leaklab.jupyter.heard import Heard
from leaklab.jupyter.iterations import mark_count
from leaklab.present.live import cell_display, marks_told
from leaklab.scratch import Scratch

if TYPE_CHECKING:
    from leaklab.results.run import Run

START_SECONDS = 30.0
_POLL_SECONDS = 0.01
# What a cell calls for its recording, and must import as any target does.
_FOR_TARGETS = ("mark", "gauge")
# What only a process of its own can be held to.
CHILD_ONLY = {
    "python": "--python",
    "duration_seconds": "--duration",
    "limit_memory_bytes": "--limit-memory",
    "mark_on": "--mark-on",
    "drive": "--drive",
    "until_decided": "--until-decided",
    "trace_share": "--trace-share",
}


@dataclass(frozen=True)
class RecordedCell:
    """The run of a cell, and what the cell has raised (already shown), None if nothing."""

    run: Run
    error: BaseException | None


def record_cell(shell: Any, cell: str, options: dict[str, Any]) -> RecordedCell:
    """Run `cell` in `shell`, recorded, and return the run and the cell's own error.

    Raises LeaklabError for an option that needs a process of its own, when another recording is
    going on in this process, or when the recorder fails.
    """
    with _Recording(shell, cell, options) as recording, _numbered(shell):
        recording.result = shell.run_cell(recording.cell, store_history=False)
    return recording.recorded()


async def record_awaiting_cell(shell: Any, cell: str, options: dict[str, Any]) -> RecordedCell:
    """Do the same for a cell that awaits: it runs on the loop that runs this."""
    with _Recording(shell, cell, options) as recording, _numbered(shell):
        cell = recording.cell
        recording.result = await shell.run_cell_async(
            cell, store_history=False, transformed_cell=shell.transform_cell(cell)
        )
    return recording.recorded()


class _Recording:
    """What is around a cell while it is recorded: the recorder and the session with it.

    ``cell``: the text to run. ``result``: what running it has returned.
    """

    def __init__(self, shell: Any, cell: str, options: dict[str, Any]) -> None:
        from leaklab.probe import marks
        from leaklab.store.location import resolved_store

        for name, flag in CHILD_ONLY.items():
            if options.get(name):
                raise LeaklabError(f"{flag} needs a process of its own: add --child")
        if marks._session is not None:
            raise LeaklabError("this process is being recorded already; end that recording first")
        self.cell = numbered_as_shown(cell)
        text = shell.transform_cell(self.cell)
        if (problem := compile_problem(text)) is not None:
            raise LeaklabError(f"the cell cannot be run: {problem}")
        self.result: Any = None
        self._expected_count = mark_count(text, shell.user_ns)
        self._settings = {
            "name": options.get("name") or "cell",
            "variant": options.get("variant"),
            "passes": options.get("passes") or ("measure", "explain"),
            "store": resolved_store(options.get("store")),
            "cwd": str(Path.cwd()),
            "cells": _cells(shell, self.cell),
            "expected_mark_count": self._expected_count,
        }
        names = (self._settings[key] for key in ("name", "variant"))
        self._label = "/".join(str(name) for name in names if name)
        self._show = cell_display(self._label) if options.get("live", True) else None
        self._ending: Ending | None = None
        self._said = ""
        self._open = contextlib.ExitStack()

    def __enter__(self) -> _Recording:
        with contextlib.ExitStack() as stack:
            channel = str(Path(stack.enter_context(Scratch("cell")), "channel"))
            options = {**self._settings, "pid": os.getpid(), "channel": channel}
            sidecar = stack.enter_context(_sidecar(options, self._label))
            assert sidecar.stdout is not None
            heard = Heard(sidecar.stdout, self._show)
            ending = self._ending = Ending(sidecar, heard)
            stack.callback(self._wait, ending, heard)
            try:
                stack.enter_context(_session(channel, sidecar, heard))
            except BaseException:
                with ending:
                    ending.give_up()
                    stack.close()
                raise
            self._open = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        assert self._ending is not None
        with self._ending:
            self._open.close()

    def _wait(self, ending: Ending, heard: Heard) -> None:
        ending.wait()
        self._said = heard.last_line

    def recorded(self) -> RecordedCell:
        """Return the run, with what has become of the cell and its recorder noted in it."""
        from leaklab.results.run import Run
        from leaklab.store import open_run

        assert self._ending is not None
        kind, _, text = self._said.partition(" ")
        if kind not in ("run", "begun"):
            raise LeaklabError(text or "the recorder ended without a word; record again")
        if kind == "begun":
            why = self._ending.why_ended or "ended without a word"
            note(text, "incomplete", f"the recorder {why}: the run holds what it had written")
        if self._show is not None:
            self._show(f"{self._label}: recorded", "")
        error: BaseException | None = self.result.error_in_exec or self.result.error_before_exec
        if error is not None:
            state = "interrupted" if _is_interrupt(error) else "failed"
            note(text, state, f"the cell {what_ended(error)}", after=self._marks_told)
        elif self._ending.interrupted:
            error = EndingInterruptedError()
            note(text, "interrupted", f"the cell {what_ended(error)}")
        return RecordedCell(Run(open_run(text)), error)

    def _marks_told(self, count: int) -> str:
        return marks_told(count, self._expected_count)


class EndingInterruptedError(Exception):
    """The cell had ended, and its recorder was interrupted in what was left to do."""


def cell_name(shell: Any) -> str:
    """What the cell that runs is called: ``In [4]``."""
    return f"In [{_cell_number(shell)}]"


def _cell_number(shell: Any) -> int:
    return len(shell.user_ns.get("In") or ()) - 1


@contextlib.contextmanager
def _numbered(shell: Any) -> Iterator[None]:
    """Let a cell that runs inside of another have its number: IPython 9 counts on before it runs
    one, so a traceback, and all that is told of its functions later, would name the next cell."""
    compiler, number, own = shell.compile, _cell_number(shell), shell.compile.cache

    def cache(text: str, _number: int = 0, raw_code: str | None = None) -> str:
        return str(own(text, number, raw_code))

    compiler.cache = cache
    try:
        yield
    finally:
        del compiler.cache


def numbered_as_shown(cell: str) -> str:
    """Let lines count from the cell's first, the magic's, as the notebook numbers them."""
    return cell if cell.lstrip().startswith("%%") else f"# %%leaklab\n{cell}"


def awaits(shell: Any, cell: str) -> bool:
    """Say whether a cell awaits outside of its functions."""
    try:
        return bool(shell.should_run_async(cell, transformed_cell=shell.transform_cell(cell)))
    except Exception:  # a syntax error, say: the cell's own to tell
        return False


def compile_problem(text: str) -> Exception | None:
    """Return why a cell's text, its magics already replaced, cannot be run at all; None if it can.

    >>> str(compile_problem("x = 1 +"))
    'invalid syntax (<cell>, line 1)'
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # said when the cell is compiled to be run
        try:
            compile(text, "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        except (SyntaxError, ValueError, OverflowError) as problem:
            return problem
    return None


def _cells(shell: Any, cell: str) -> dict[str, tuple[str, str]]:
    """Name and text of the cells by the file name each was compiled with, this one too."""
    texts = shell.user_ns.get("In") or []
    known = getattr(shell.compile, "_filename_map", {})
    number = _cell_number(shell)
    # This very cell is compiled twice: also as a call of the magic, which is not what it says.
    cells = {
        file: (f"In [{other}]", str(texts[other]) if other < number else cell)
        for file, other in known.items()
        if other <= number
    }
    file = shell.compile.get_code_name(cell, shell.transform_cell(cell), number)
    return {**cells, file: (cell_name(shell), cell)}


def what_ended(error: BaseException) -> str:
    """Return what became of a cell in words: ``raised ValueError: …`` or ``was interrupted``."""
    if _is_interrupt(error):
        return "was interrupted"
    if isinstance(error, EndingInterruptedError):
        return "has ended, but its recorder was interrupted"
    named = error.name if isinstance(error, NameError) else None
    way_out = f"; it takes 'from leaklab import {named}'" if named in _FOR_TARGETS else ""
    return f"raised {type(error).__name__}: {error}{way_out}"


def _is_interrupt(error: BaseException) -> bool:
    return isinstance(error, KeyboardInterrupt | asyncio.CancelledError)  # of a cell that awaits


def note(run: str, state: str, text: str, *, after: Callable[[int], str] | None = None) -> None:
    """Say in the run that its cell, or the recorder, has not come to its end."""
    from leaklab.store.location import filesystem, is_local

    files, folder = filesystem(run)
    meta_file = f"{folder}/run.json"
    meta = json.loads(files.cat_file(meta_file))
    meta["state"] = state
    told = max((one.get("mark_count") or 0 for one in meta["processes"]), default=0)
    if after is not None and told:
        text = f"{text} after {after(told)}"
    meta["events"].append({"kind": "cell", "text": text})
    content = json.dumps(meta).encode()
    if is_local(run):
        new = Path(meta_file).with_suffix(".new")
        new.write_bytes(content)
        new.replace(meta_file)
    else:
        files.pipe_file(meta_file, content)


@contextlib.contextmanager
def _sidecar(options: dict[str, Any], label: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "leaklab.jupyter.sidecar", label],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # an interrupt is for the cell; the recorder ends with it
    ) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(options))
        process.stdin.close()
        yield process


@contextlib.contextmanager
def _session(channel: str, sidecar: subprocess.Popen[str], heard: Heard) -> Iterator[None]:
    """Marks of this process are told to the recorder; afterwards they cost nothing again."""
    from leaklab.probe import marks
    from leaklab.probe.session import Session

    deadline = time.monotonic() + START_SECONDS
    session = Session(channel)
    # Its path is there a moment before anybody listens: what is waited for is an answer.
    while not session.open("attach"):
        if sidecar.poll() is not None:
            heard.ended(START_SECONDS)
            why = heard.last_line.partition(" ")[2]
            raise LeaklabError(why or "the recorder did not start; record again")
        if time.monotonic() > deadline:
            raise LeaklabError(f"the recorder did not start within {START_SECONDS:g} seconds")
        time.sleep(_POLL_SECONDS)
    marks.attach(session)
    try:
        with _kernel_set_aside():
            yield
    finally:
        session.end()


@contextlib.contextmanager
def _kernel_set_aside() -> Iterator[None]:
    """Keep what the kernel holds already out of the collections at marks.

    These are hundreds of thousands of objects: to go through them all at every mark would take
    longer than the cell. The copies that object graphs are taken of look at them nevertheless.
    """
    import leaklab.probe.graph_copy  # noqa: F401 - finds what it needs by way of the collector

    if gc.get_freeze_count():  # somebody did so already, and would not want it undone
        yield
        return
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
