"""Judges figures by time in the light of when the process worked: what stands still while nobody
asks for anything has not stopped growing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leaklab.analysis.idle import busy_count, worked_count
from leaklab.analysis.series import TEARDOWN_SHARE
from leaklab.present.formatting import amount, span_text
from leaklab.resources import material
from leaklab.verdict.idle_end import unless_idle, with_words
from leaklab.verdict.resources import INCONCLUSIVE, LEAK, ResourceVerdict
from leaklab.verdict.sequential import judge_followed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def judge_at_work(name: str, x: Floats, y: Floats, cpu: Floats | None) -> ResourceVerdict:
    """Judge figures by time, without an end in which nothing was done and nothing grows.

    x: seconds; cpu: the seconds of the processor that were used up to each, None for unknown.
    Where such an end is most of the time, nobody can say what the work is, nor what rests.
    """
    if cpu is None or len(x) < 2:
        return judge_followed(x, y, resource=name)
    used = np.diff(cpu) / np.diff(x)
    busy = busy_count(x, x[1:], used)
    if busy < len(x) and y[-1] - y[busy - 1] < material(name):
        idle = span_text(float(x[-1] - x[busy - 1]), "second")
        entry = judge_followed(x[:busy], y[:busy], resource=name)
        note = f", without the idle end: hardly any work since {idle}"
        return unless_given_back(with_words(entry, note), y, busy - 1)
    entry = judge_followed(x, y, resource=name)
    worked = worked_count(x, x[1:], used)
    return unless_idle(
        entry, x, y, worked, lambda: judge_followed(x[:worked], y[:worked], resource=name)
    )


def unless_given_back(entry: ResourceVerdict, y: Floats, end: int) -> ResourceVerdict:
    """Return the verdict leak, withheld where much of it was given back once the work had ended."""
    fell = float(y[end] - y[-1])
    if entry.verdict != LEAK or fell <= max(
        material(entry.name), TEARDOWN_SHARE * float(np.ptp(y))
    ):
        return entry
    given = amount(entry.name, fell)
    return with_words(
        entry, f"; but gave back {given} since: look again after more work", INCONCLUSIVE
    )
