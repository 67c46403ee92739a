"""Record small targets in tests: write the script, run it under the recorder, open the run."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path
from typing import Any

import pytest

from leaklab.recorder.options import RecordOptions
from leaklab.recorder.recording import record_run
from leaklab.store import RunData, open_run
from leaklab.verdict.deciding import Decider


def script(folder: Path, source: str, name: str = "target.py") -> Path:
    """Write a target and return its path."""
    path = folder / name
    path.write_text(textwrap.dedent(source), encoding="utf-8")
    return path


def shared_store(factory: pytest.TempPathFactory) -> Path:
    """Return the store of this session's cases: what one worker has recorded, the others load.

    The recording of a case is looked for by all that it was made of, before it is made.
    """
    base = factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "recorded-cases"


def record(folder: Path, source: str | Path, *arguments: str, **options: Any) -> RunData:
    """Record a script (its text, or its path) in ``folder`` and open what came of it."""
    path = source if isinstance(source, Path) else script(folder, source)
    options.setdefault("passes", ("measure",))
    options.setdefault("graphs", "never")
    settings = RecordOptions(
        command=[str(path), *arguments],
        cwd=str(folder),
        store=str(folder / "store"),
        **options,
    )
    return open_run(record_run(settings, decider=Decider))


def record_program(folder: Path, command: list[str], **options: Any) -> RunData:
    """Record any program in ``folder`` and open what came of it."""
    options.setdefault("passes", ("measure",))
    options.setdefault("graphs", "never")
    settings = RecordOptions(
        command=command, cwd=str(folder), store=str(folder / "store"), **options
    )
    return open_run(record_run(settings, decider=Decider))


def values(run: RunData, name: str, *, process: int | None = None) -> list[float]:
    """Return the figures of one name taken at marks, in order."""
    rows = run.samples
    rows = rows[(rows["name"] == name) & rows["mark"].notna()]
    if process is not None:
        rows = rows[rows["process"] == process]
    return [float(value) for value in rows.sort_values("time_seconds")["value"]]


def growing_line(run: RunData, role: str) -> tuple[str, str]:
    """Function and file of the allocation that grew most in the processes of a role."""
    numbers = [
        process["process"]
        for process in run.meta["processes"]
        if process["role"] == role and process["pass"] == "explain"
    ]
    heap = run.heap[run.heap["process"].isin(numbers)]
    growth = heap.groupby(["process", "stack_id"])["live_bytes"].agg(
        lambda values: values.iloc[-1] - values.iloc[0]
    )
    stack = run.stacks.set_index("stack_id").loc[growth.groupby("stack_id").sum().idxmax()]
    frame = run.frames.set_index("frame_id").loc[stack["frame_ids"][0]]
    return frame["function"], frame["file"]
