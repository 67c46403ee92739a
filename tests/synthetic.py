"""Runs made of formulas: what a recording would have brought, without recording.

    data = run(rss=leak(200, 20_000) + noise(200, 50_000), sites={"keep": leak(200, 1_000)})

Shapes (leaklab.verdict.shapes) are arrays with one value per mark, or per sample without marks.
``run`` turns them into a :class:`leaklab.store.RunData` with samples, snapshots, heap, stacks and
frames.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
import pandas as pd

from leaklab.store import RunData
from leaklab.verdict.shapes import (
    Series,
    bounded,
    high_water,
    leak,
    noise,
    sawtooth,
    stairs,
    steady,
    step,
    warm_up,
)

__all__ = [
    "RunData",
    "Series",
    "bounded",
    "heap_tables",
    "high_water",
    "leak",
    "noise",
    "run",
    "sawtooth",
    "stairs",
    "steady",
    "step",
    "warm_up",
]


def run(
    *,
    sites: dict[str, Series] | None = None,
    rss: Series | None = None,
    traced_rss: Series | None = None,
    marks: bool = True,
    seconds_per_point: float = 0.01,
    meta: dict[str, Any] | None = None,
    **resources: Series,
) -> RunData:
    """A run of one process per pass: ``sites`` are live bytes per function in the explain pass,
    ``rss`` and the other resources (``fd_count=…``) figures of the measure pass, ``traced_rss``
    resident memory in the explain pass.

    A site named ``"lib.py:parse<load"`` is allocated by the library function ``parse`` called by
    the target's ``load``.
    """
    processes = [_process(0, "measure"), _process(1, "explain")]
    if rss is not None:
        resources["rss_bytes"] = 50e6 + rss
    samples = [
        _samples(name.replace("__", ":"), values, marks, seconds_per_point)
        for name, values in resources.items()
    ]
    if traced_rss is not None:
        traced = _samples("rss_bytes", 50e6 + traced_rss, marks, seconds_per_point, process=1)
        samples.append(traced.assign(**{"pass": "explain"}))
    tables: dict[str, pd.DataFrame] = {}
    if samples:
        tables["samples"] = pd.concat(samples, ignore_index=True)
    if sites:
        tables |= heap_tables(sites, marks=marks, seconds_per_point=seconds_per_point)
    return RunData.from_tables(
        {
            "schema_version": 1,
            "name": "synthetic",
            "state": "complete",
            "parameters": {},
            "options": {"python_allocators": True},
            "processes": processes,
            "passes": [{"pass": "measure"}, {"pass": "explain"}],
            "versions": {"python": ".".join(map(str, sys.version_info[:3]))},
            "platform": {"system": os.uname().sysname},
            **(meta or {}),
        },
        **tables,
    )


def heap_tables(
    sites: dict[str, Series],
    *,
    process: int = 1,
    marks: bool = True,
    seconds_per_point: float = 0.01,
    line_shift: int = 0,
) -> dict[str, pd.DataFrame]:
    """Tables snapshots, heap, stacks and frames of one process; only changes are stored."""
    frames, stacks = _stacks(list(sites), line_shift)
    values = np.rint(np.stack(list(sites.values()))).astype(np.int64)
    changed = np.diff(values, axis=1, prepend=0) != 0
    stack, snapshot = np.nonzero(changed)
    order = np.lexsort((stack, snapshot))
    stack, snapshot = stack[order], snapshot[order]
    heap = pd.DataFrame(
        {
            "process": process,
            "snapshot": snapshot,
            "stack_id": stack,
            "live_bytes": values[stack, snapshot],
            "allocation_count": np.maximum(values[stack, snapshot] // 100, 0),
        }
    )
    count = values.shape[1]
    snapshots = pd.DataFrame(
        {
            "pass": "explain",
            "process": process,
            "snapshot": np.arange(count),
            "mark": np.arange(1, count + 1) if marks else None,
            "time_seconds": seconds_per_point * np.arange(1, count + 1),
            "live_bytes": values.sum(axis=0),
            "allocation_count": values.sum(axis=0) // 100,
            "stack_count": (values > 0).sum(axis=0),
            "cost_seconds": 0.001,
            "exact": marks,
            "quiescent": marks,
        }
    )
    return {"snapshots": snapshots, "heap": heap, "stacks": stacks, "frames": frames}


def _process(number: int, pass_: str, role: str = "main") -> dict[str, Any]:
    return {"process": number, "pass": pass_, "role": role, "ended_seconds": None, "mark_count": 0}


def _samples(
    name: str, values: Series, marks: bool, seconds_per_point: float, process: int = 0
) -> pd.DataFrame:
    count = len(values)
    return pd.DataFrame(
        {
            "pass": "measure",
            "process": process,
            "time_seconds": seconds_per_point * np.arange(1, count + 1),
            "mark": np.arange(1, count + 1) if marks else None,
            "quiescent": marks,
            "name": name,
            "value": values,
        }
    )


def _stacks(names: list[str], line_shift: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    frames: dict[tuple[str, str, int, str], int] = {}
    lists = []
    for at, name in enumerate(names):
        calls = []
        for call in name.split("<"):
            file, function = call.split(":", 1) if ":" in call else ("", call)
            origin = "site-packages" if file else "target"
            line = 10 + at + line_shift if origin == "target" else 5
            calls.append((function, file or "app.py", line, origin))
        if calls[-1][0] != "_bootstrap":  # the outermost call of a thread
            calls.append(("main", "app.py", 100 + line_shift, "target"))
        lists.append([frames.setdefault(call, len(frames)) for call in calls])
    frame_rows = pd.DataFrame(
        [(number, *call) for call, number in frames.items()],
        columns=["frame_id", "function", "file", "line", "origin"],
    )
    stacks = pd.DataFrame(
        {"stack_id": range(len(names)), "allocator": "malloc", "frame_ids": lists}
    )
    return frame_rows, stacks
