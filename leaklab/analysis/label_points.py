"""A resource of one role at marks, process by process, beside the units of work done by label."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leaklab.analysis.series import (
    HEAP,
    as_flags,
    as_floats,
    processes_of,
    samples_of,
    untraced_pass,
)
from leaklab.analysis.work import within_work

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leaklab.store import RunData

    Floats = NDArray[np.float64]

# Labels that are told apart; the rarest beyond that, and those called less often, are one.
MOST_LABELS = 32
FEWEST_CALLS = 8
OTHER, UNLABELLED = "other", "(no label)"
# Units of work that may have been under way where the recording does not say.
UNKNOWN_AT_ONCE = 4


@dataclass(frozen=True)
class LabelPoints:
    """Figures of one resource, sorted by process and time.

    process, age, value: one each per figure; age: units of work that the process had ended by then,
    value in the resource's unit. counts: the same by label, a column per label. at_once: how many
    units of work were under way at the most.
    """

    labels: list[str]
    process: NDArray[np.int64]
    age: Floats
    value: Floats
    counts: Floats
    at_once: int = 1

    def where(self, kept: NDArray[np.bool_]) -> LabelPoints:
        """Return the figures for which ``kept`` is true."""
        return replace(
            self,
            process=self.process[kept],
            age=self.age[kept],
            value=self.value[kept],
            counts=self.counts[kept],
        )

    @property
    def middle_age(self) -> float:
        """The age up to which half of the units of work between first and last figure were done.

        By age, because a worker that is replaced warms up anew.
        """
        first, _ = ends(self.process)
        steps = np.diff(self.age, prepend=0.0)
        steps[first] = 0.0
        order = np.argsort(self.age, kind="stable")
        done = np.cumsum(steps[order])
        return float(self.age[order][np.searchsorted(done, done[-1] / 2)])

    @property
    def calls(self) -> Floats:
        """Units of work by label between the first and the last figure of each process."""
        first, last = ends(self.process)
        done: Floats = (self.counts[last] - self.counts[first]).sum(axis=0)
        return done


def ends(process: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return where the first and the last figure of each process stand."""
    edges = np.flatnonzero(np.diff(process)) + 1
    first = np.concatenate([[0], edges]) if len(process) else edges
    last = np.concatenate([edges, [len(process)]])[: len(first)] - 1
    return first, last


def label_points(
    data: RunData, name: str, *, role: str = "main", after_seconds: float = -np.inf
) -> LabelPoints | None:
    """Return the figures of a resource at marks, ``after_seconds``, with the work done by label.

    ``heap_bytes`` from the explain pass, all else from the untraced one, as in
    `leaklab.analysis.series.resource_series`. None where no labels or no figures were recorded.
    """
    pass_ = "explain" if name == HEAP else untraced_pass(data)
    members = processes_of(data, role, pass_)
    labels = data.labels
    labels = labels[labels["pass"].eq(pass_) & labels["process"].isin(list(members))]
    points = _figures(data, name, pass_, members) if len(labels) else labels
    points = points[points["time_seconds"] >= after_seconds]
    if not len(points):
        return None
    process = points["process"].to_numpy(np.int64)
    time_seconds = as_floats(points["time_seconds"])
    names, code = _known(labels)
    counts = np.zeros((len(points), len(names)))
    done, at = labels["process"].to_numpy(np.int64), as_floats(labels["time_seconds"])
    times = labels["count"].to_numpy(np.float64)
    for number in np.unique(process):
        mine, theirs = process == number, np.flatnonzero(done == number)
        theirs = theirs[np.argsort(at[theirs], kind="stable")]
        steps = np.zeros((len(theirs) + 1, len(names)))
        steps[np.arange(1, len(theirs) + 1), code[theirs]] = times[theirs]
        row = np.searchsorted(at[theirs], time_seconds[mine], side="right")
        counts[mine] = steps.cumsum(axis=0)[row]
    age = as_floats(points["mark"])
    without = age - counts.sum(axis=1)
    if without.max() >= FEWEST_CALLS:
        names, counts = [*names, UNLABELLED], np.column_stack([counts, without])
    at_once = max(
        members[int(n)].get("units_at_once") or UNKNOWN_AT_ONCE for n in np.unique(process)
    )
    return LabelPoints(names, process, age, as_floats(points["value"]), counts, at_once)


def _figures(
    data: RunData, name: str, pass_: str, members: dict[int, dict[str, Any]]
) -> pd.DataFrame:
    """Return the figures at marks, either all after a collection or all without one.

    Whichever are more: waiting garbage is noise, but too few figures tell no labels apart.
    """
    if name == HEAP:
        points = data.snapshots.assign(value=data.snapshots["live_bytes"])
        points = points[as_flags(points["exact"])]
    else:
        points = samples_of(data, name)
    points = points[points["pass"].eq(pass_) & points["process"].isin(list(members))]
    points = points[points["mark"].notna() & points["value"].notna()]
    points = points[within_work(points, members)]
    collected = as_flags(points["quiescent"])
    points = points[collected if collected.sum() * 2 >= len(points) else ~collected]
    return points.sort_values(["process", "time_seconds"], kind="stable")


def _known(labels: pd.DataFrame) -> tuple[list[str], NDArray[np.int64]]:
    """Return the labels that are told apart and the number of each row's; "other" is the last."""
    sums = labels.groupby("label")["count"].sum().sort_values(ascending=False, kind="stable")
    kept = [str(name) for name in sums[sums >= FEWEST_CALLS].index if name != OTHER]
    kept = kept[:MOST_LABELS]
    code = labels["label"].map({name: at for at, name in enumerate(kept)}).fillna(len(kept))
    named = [*kept, OTHER] if code.eq(len(kept)).any() else kept
    return named, np.asarray(code, np.int64)
