"""How far apart samples are taken."""

from __future__ import annotations

import math

# The adaptive interval: this at first, doubled whenever the run has come to so many of them; a
# fixed one as well, later.
FIRST_INTERVAL_SECONDS = 0.02
SAMPLE_COUNT = 512
FIXED_SAMPLE_COUNT = 20_000


def interval_seconds(now: float, fixed: float | None = None) -> float:
    """Return the time between samples ``now`` seconds into a pass, a power of two of the first.

    >>> interval_seconds(5.0), interval_seconds(15.0)
    (0.02, 0.04)
    """
    first = FIRST_INTERVAL_SECONDS if fixed is None else fixed
    most = SAMPLE_COUNT if fixed is None else FIXED_SAMPLE_COUNT
    folds = max(now / first / most, 1.0)
    return float(first * 2 ** math.ceil(math.log2(folds)))
