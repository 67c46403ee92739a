"""What ``psrecord --log`` writes: CPU and memory of one process over time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from leaklab.errors import LeaklabError
from leaklab.importers.members import lives_of_clock, members
from leaklab.importers.reading import Options, Reading, Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME = "psrecord"
# psrecord divides by 1024² and calls it MB.
_SCALE = 1 << 20
_HEADING = re.compile(r"#\s*Elapsed time\s+CPU \(%\)\s+Real \(MB\)")
_SECONDS, _CPU, _REAL, _VIRTUAL = range(4)


def recognise(source: Source) -> bool:
    """Return whether the heading is psrecord's."""
    return any(_HEADING.match(line) for line in source.first_lines[:3])


def read(source: Source, options: Options) -> Reading:
    """Read resident memory and CPU; runs appended to one file are lives of the process."""
    rows: list[NDArray[np.float64]] = []
    for line in source.text_of_lines.splitlines():
        if not line.startswith("#"):
            try:
                figures = np.array(line.split(), np.float64)
            except ValueError:
                continue
            if len(figures) > _REAL:
                rows.append(figures[: _REAL + 1])
    if not rows:
        raise LeaklabError(f"psrecord log without figures: {source.path}; record longer")
    table = np.array(rows)
    seconds, life = lives_of_clock(table[:, _SECONDS])
    values = {"rss_bytes": table[:, _REAL] * _SCALE, "gauge:cpu_percent": table[:, _CPU]}
    return Reading(
        title="psrecord",
        understood=f"{len(table):,} rows, Real in MB (2^20) as rss_bytes, CPU as a gauge",
        members=members(seconds, values, life=life),
        restarts_told=True,  # it is attached to one process
    )
