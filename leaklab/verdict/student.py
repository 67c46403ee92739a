"""Student's distribution for thousands of models at once."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtr

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Student's distribution is asked for thousands of models, of a few degrees of freedom: in between
# places so far apart it is interpolated, to 1e-4 of itself.
STEP, END, LEAST = 1 / 64, 64.0, 1e-12


def log_student(degrees: Floats, t: Floats) -> Floats:
    """The logarithm of Student's distribution function, but no less than that of LEAST."""
    if not len(t):
        return t
    least = int(degrees.min())
    table = _student_table(least, int(degrees.max()))
    width = table.shape[1]
    place = np.clip((t + END) / STEP, 0, width - 1.001)
    before = place.astype(np.int64)
    at = before + (degrees - least).astype(np.int64) * width
    lower = table.take(at)
    found: Floats = lower + (place - before) * (table.take(at + 1) - lower)
    return found


@lru_cache(maxsize=64)
def _student_table(least: int, most: int) -> Floats:
    """Rows for so many degrees of freedom."""
    places = np.arange(-END, END + STEP, STEP)
    degrees = np.arange(least, most + 1)[:, None]
    table: Floats = np.log(np.maximum(stdtr(degrees, places), LEAST))
    return table
