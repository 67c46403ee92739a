"""What belongs to the work of a run, and what is its end: exit, shutdown, the idle time after."""

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
