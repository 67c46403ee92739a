"""What belongs to the work of a run, and what is its end: exit, shutdown, the idle time after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from leaklab.store import RunData


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


def given_back(data: RunData) -> list[dict[str, Any]]:
    """Return what the main process gave back after its work, which no verdict rests on.

    One dict per resource that fell: name, value at the end of the work, and ``after``, the last
    figure that was seen; in the resource's unit, heap as ``heap_bytes``. Empty where the end of
    the work is not known.

        >>> given_back(run.data)
        [{'name': 'thread_count', 'value': 101.0, 'after': 1.0}]
    """
    from leaklab.analysis.series import HEAP, processes_of, resource_names, untraced_pass

    rows: list[dict[str, Any]] = []
    for name in resource_names(data):
        members = processes_of(data, "main", "explain" if name == HEAP else untraced_pass(data))
        ends = [entry.get("work_ended_seconds") for entry in members.values()]
        if len(members) != 1 or ends[0] is None:
            continue
        if name == HEAP:
            points = data.snapshots.rename(columns={"live_bytes": "value"})
        else:
            points = data.samples[data.samples["name"] == name]
        points = points[points["process"].isin(list(members)) & points["value"].notna()]
        points = points.sort_values("time_seconds", kind="stable")
        over = points["time_seconds"].to_numpy(np.float64) > ends[0]
        values = points["value"].to_numpy(np.float64)
        if over.any() and not over.all() and values[over][-1] < values[~over][-1]:
            rows.append(
                {"name": name, "value": float(values[~over][-1]), "after": float(values[over][-1])}
            )
    return rows
