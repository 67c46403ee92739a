"""Resident memory of a test's child processes, by the units of the test: a worker marks none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leaklab.verdict.resources import ResourceVerdict

ROLE = "its child processes"
# A child that was there for so much of the units, up to their end, is one that work is given to.
LIVED_SHARE = 2 / 3
Figures = dict[int, list[tuple[int, int]]]


def read_figures(folder: Path) -> Figures:
    """Return (unit, resident bytes) rows by process id, as the first pass's interpreter wrote them.

    The first is the one without the tracer, where there are two.
    """
    files = sorted(folder.glob("children-*.txt"), key=lambda path: path.stat().st_mtime_ns)
    found: Figures = {}
    for line in files[0].read_text().splitlines() if files else ():
        words = line.split()
        if len(words) == 3:
            unit, pid, resident_bytes = map(int, words)
            found.setdefault(pid, []).append((unit, resident_bytes))
    return found


def judged_children(figures: Figures, units: int) -> ResourceVerdict | None:
    """Return the verdict on the children that lived on, taken together; None where none did.

    >>> judged_children({7: [(unit, unit * 100_000) for unit in range(1, 61)]}, 60).verdict
    'leak'
    """
    lived = [
        dict(rows)
        for rows in figures.values()
        if rows[-1][0] >= units and len(rows) >= LIVED_SHARE * units
    ]
    if not lived:
        return None
    from leaklab.verdict.judge_series import judge_series

    common = sorted(set.intersection(*(set(rows) for rows in lived)))
    together = [sum(rows[unit] for rows in lived) for unit in common]
    entry = judge_series(common, together, resource="rss_bytes", unit="iteration")
    return replace(entry, role=ROLE)
