"""What allocators have in use, judged for every size that small blocks may have.

The interpreter counts its small blocks and does not tell their sizes. Growth is told at their usual
size, and its interval reaches from what it is with the smallest of them to what it is with the
largest. What would matter at one of these and not at the other is not decided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leaklab.analysis.in_use import AT_LEAST, AT_MOST
from leaklab.analysis.long_series import long_series
from leaklab.resources import IN_USE, material
from leaklab.verdict.evidence import GROWS, STOPPED, UNDECIDED, Evidence
from leaklab.verdict.imported import explained
from leaklab.verdict.resources import ResourceVerdict, examine, verdict_of, why_text
from leaklab.verdict.sampled import widened

if TYPE_CHECKING:
    import pandas as pd

    from leaklab.store import RunData


def judge_in_use(series: pd.DataFrame, data: RunData) -> ResourceVerdict:
    """Judge the bytes in use of one role (``series``, small blocks at their usual size)."""
    role = series.attrs["role"]
    growth, evidence = examine(series)
    others = [examine(long_series(data, name, role=role)) for name in (AT_LEAST, AT_MOST)]
    matters = material(IN_USE)
    least = min(other.rate for other, _ in others)
    may_matter = any(
        said.verdict != STOPPED
        and other.rate_low > 0
        and other.rate_high * other.run_span > matters
        for other, said in others
    )
    if (evidence.verdict == STOPPED and may_matter) or (
        evidence.verdict == GROWS and least * growth.span < matters
    ):
        evidence = Evidence(UNDECIDED, "sizes", growth.run_span)
    growth = widened(growth, [other for other, _ in others])
    entry = verdict_of(IN_USE, role, growth, evidence, why_text(IN_USE, growth, evidence))
    return explained(entry, series)
