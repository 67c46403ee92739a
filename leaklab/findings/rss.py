"""Resident memory explained: what the pages that a process holds are made of, over time.

"Memory is not returned to the operating system" is told apart from a leak: a leak shows in the
live parts, what an allocator keeps for later in the free ones.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from leaklab.analysis.heap import HeapTimeline, heap_timeline
from leaklab.analysis.series import resource_series, roles
from leaklab.verdict.native import kinds_of_stacks
from leaklab.verdict.resources import judge_resource

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leaklab.store import RunData

    Floats = NDArray[np.float64]

LIVE_PYTHON = "live Python objects"
LIVE_NATIVE = "live native memory"
LIVE_EITHER = "live, of Python or native"
ARENA_FREE = "free inside pymalloc arenas"
MALLOC_FREE = "free inside malloc"
MAPPED_FILES = "mapped files"
REST = "rest"
PARTS = (LIVE_PYTHON, LIVE_NATIVE, LIVE_EITHER, ARENA_FREE, MALLOC_FREE, MAPPED_FILES, REST)

# What would give a part back to the operating system.
WAY_BACK = {
    ARENA_FREE: "a pymalloc arena is given back only when its last object is freed; a restart of "
    "the worker, or fewer long-lived objects made between short-lived ones, gives it back",
    MALLOC_FREE: "malloc_trim(0) gives it back now; MALLOC_MMAP_THRESHOLD_=65536 or "
    "MALLOC_ARENA_MAX=2 in the environment keep it from building up",
}


def decomposition(data: RunData, *, role: str = "main") -> pd.DataFrame:
    """The parts of resident memory at each point: columns x, part, bytes; ``attrs``: unit, role.

    The live parts come from the explain pass (the same work, at the same mark), everything else
    from the measure pass. A part that was not measured is NaN and contained in "rest"; the parts
    that were measured and the rest sum to ``rss_bytes``. Live memory that is not resident (never
    touched, or swapped) shows as a negative rest. Empty where no rss was measured.
    """
    resident = resource_series(data, "rss_bytes", role=role)
    x = resident["x"].to_numpy()
    figures = {
        name: _at(data, name, x, role)
        for name in (
            "malloc_used_bytes",
            "malloc_free_bytes",
            "arena_bytes",
            "arena_used_bytes",
            "rss_file_bytes",
        )
    }
    timeline = heap_timeline(data, role=role) if len(x) else None
    traced_python, traced_native, either = _traced(data, timeline, x, resident.attrs["unit"])
    python = _first_known(traced_python, figures["arena_used_bytes"])
    # Arenas are mapped, not taken from malloc: what malloc has in use is native memory.
    native = _first_known(traced_native, figures["malloc_used_bytes"])
    parts = {
        LIVE_PYTHON: python,
        LIVE_NATIVE: native,
        LIVE_EITHER: either,
        ARENA_FREE: np.maximum(figures["arena_bytes"] - figures["arena_used_bytes"], 0.0),
        MALLOC_FREE: figures["malloc_free_bytes"],
        MAPPED_FILES: figures["rss_file_bytes"],
    }
    value = resident["value"].to_numpy()
    parts[REST] = value - np.nansum(np.stack(list(parts.values())), axis=0) if len(x) else value
    frame = pd.DataFrame(
        {
            "x": np.tile(x, len(PARTS)),
            # As objects: of a year of figures each text would be written out in full.
            "part": np.repeat(np.array(list(PARTS), dtype=object), len(x)),
            "bytes": np.concatenate([parts[name] for name in PARTS]),
        }
    )
    frame.attrs.update(unit=resident.attrs["unit"], role=role)
    return frame


def kept_by_allocators(data: RunData) -> pd.DataFrame:
    """What allocators keep free at the end of the run: columns role, part, bytes, way_back."""
    rows = []
    for role in roles(data):
        parts = decomposition(data, role=role).dropna(subset="bytes")
        last = parts.groupby("part", sort=False)["bytes"].last()
        rows += [
            {"role": role, "part": name, "bytes": float(last[name]), "way_back": WAY_BACK[name]}
            for name in WAY_BACK
            if name in last.index
        ]
    return pd.DataFrame(rows, columns=["role", "part", "bytes", "way_back"])


# Passes that try a way to get memory back, and what each does.
TRIALS = {
    "trim": "malloc_trim(0) at marks",
    "mmap": "MALLOC_MMAP_THRESHOLD_=65536 in the environment",
}
TRIAL_END_SHARE = 0.25


def tried(data: RunData) -> pd.DataFrame:
    """What the passes "trim" and "mmap" have given back, where the run has them.

    Columns: role, pass, way, rss_bytes and usual_bytes (medians of the last quarter of this pass
    and of the measure pass), given_back_bytes (their difference), verdict and usual_verdict (on
    resident memory in either). Memory that a trial gives back was free: no leak holds it.
    """
    rows = []
    for name, role in product(TRIALS, roles(data)):
        usual = resource_series(data, "rss_bytes", role=role)
        trial = resource_series(data, "rss_bytes", pass_=name, role=role)
        if not len(trial) or not len(usual):
            continue
        rss, before = _at_end(trial), _at_end(usual)
        rows.append(
            {
                "role": role,
                "pass": name,
                "way": TRIALS[name],
                "rss_bytes": rss,
                "usual_bytes": before,
                "given_back_bytes": before - rss,
                "verdict": judge_resource(trial).verdict,
                "usual_verdict": judge_resource(usual).verdict,
            }
        )
    columns = ["role", "pass", "way", "rss_bytes", "usual_bytes", "given_back_bytes"]
    return pd.DataFrame(rows, columns=[*columns, "verdict", "usual_verdict"])


def _at_end(series: pd.DataFrame) -> float:
    x = series["x"].to_numpy()
    late = x >= x[-1] - TRIAL_END_SHARE * (x[-1] - x[0])
    return float(np.median(series["value"].to_numpy()[late]))


def _at(data: RunData, name: str, x: Floats, role: str) -> Floats:
    """A figure of the measure pass at the given points: its latest value; NaN before the first."""
    series = resource_series(data, name, role=role)
    if not len(series) or not len(x):
        return np.full(len(x), np.nan)
    return _latest(series["x"].to_numpy(), series["value"].to_numpy(), x)


def _traced(data: RunData, timeline: HeapTimeline | None, x: Floats, unit: str) -> list[Floats]:
    """Live bytes of Python's own allocators, of native ones, and of calls that use both and are
    not told apart, at the given points."""
    if timeline is None or timeline.unit != unit:
        return [np.full(len(x), np.nan)] * 3
    rows = timeline.grouped(kinds_of_stacks(data, timeline), 3)
    return [_latest(timeline.x, row, x) for row in rows]


def _latest(known_x: Floats, value: Floats, x: Floats) -> Floats:
    at = np.searchsorted(known_x, x, side="right") - 1
    return np.where(at >= 0, value[np.maximum(at, 0)], np.nan)


def _first_known(*choices: Floats) -> Floats:
    """The first choice where it is known, else the next."""
    found = choices[0]
    for other in choices[1:]:
        found = np.where(np.isfinite(found), found, other)
    return found
