"""What a target gave back at its exit or shutdown: no verdict rests on it, and it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from leaklab.analysis.series import HEAP, processes_of, resource_names, untraced_pass

if TYPE_CHECKING:
    from leaklab.store import RunData


def given_back(data: RunData) -> list[dict[str, Any]]:
    """Return what the main process gave back after its work, which no verdict rests on.

    One dict per resource that fell: name, value at the end of the work, and ``after``, the last
    figure that was seen; in the resource's unit, heap as ``heap_bytes``. Empty where the end of
    the work is not known.

        >>> given_back(run.data)
        [{'name': 'thread_count', 'value': 101.0, 'after': 1.0}]
    """
    rows: list[dict[str, Any]] = []
    for name in resource_names(data):
        members = processes_of(data, "main", "explain" if name == HEAP else untraced_pass(data))
        ends = [entry.get("work_ended_seconds") for entry in members.values()]
        if len(members) != 1 or ends[0] is None:
            continue
        if name == HEAP:
            points = data.snapshots.rename(columns={"live_bytes": "value"})
        else:
            points = data.samples_of(name)
        points = points[points["process"].isin(list(members)) & points["value"].notna()]
        points = points.sort_values("time_seconds", kind="stable")
        over = points["time_seconds"].to_numpy(np.float64) > ends[0]
        values = points["value"].to_numpy(np.float64)
        if over.any() and not over.all() and values[over][-1] < values[~over][-1]:
            rows.append(
                {"name": name, "value": float(values[~over][-1]), "after": float(values[over][-1])}
            )
    return rows
