"""What belongs to the work of a run: neither the imports before it nor the exit after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray


def within_work(
    points: pd.DataFrame, members: Mapping[int, Mapping[str, Any]]
) -> NDArray[np.bool_]:
    """Return which rows of samples or snapshots were taken while the process did its work.

    points: rows with process, time_seconds and mark (null where taken between marks).
    members: entries of ``meta["processes"]`` by number; without ``work_ended_seconds`` (null, or a
    run from before it was recorded) all of a process's time is work. What was taken at a mark is.
    """
    within = np.ones(len(points), bool)
    process = points["process"].to_numpy()
    time_seconds = points["time_seconds"].to_numpy(np.float64, na_value=np.nan)
    between = points["mark"].isna().to_numpy()
    for number, entry in members.items():
        ended = entry.get("work_ended_seconds")
        if ended is not None:
            within &= ~((process == number) & between & (time_seconds > ended))
    return within


def after_imports(
    points: pd.DataFrame, members: Mapping[int, Mapping[str, Any]]
) -> NDArray[np.bool_]:
    """Return which rows of samples or snapshots of a role are from after its first imports.

    As in `within_work`; ``work_begun_seconds`` of the entries says when a process had imported what
    it needs (null, or a run from before it was recorded: at its start). A role works from when the
    first of its processes does: what the others take to join it is part of its work.
    """
    begun = [
        float(entry.get("work_begun_seconds") or entry.get("started_seconds") or 0.0)
        for entry in members.values()
    ]
    time_seconds = points["time_seconds"].to_numpy(np.float64, na_value=np.nan)
    early = points["mark"].isna().to_numpy() & (time_seconds < min(begun, default=0.0))
    return ~early
