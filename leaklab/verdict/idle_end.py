"""A rest that was only seen while nothing was asked for proves no bound."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from leaklab.present.formatting import span_text
from leaklab.resources import material
from leaklab.verdict.resources import BOUNDED, INCONCLUSIVE, NO_ADVICE, ResourceVerdict

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def unless_idle(
    entry: ResourceVerdict, x: Floats, y: Floats, worked: int, judge: Callable[[], ResourceVerdict]
) -> ResourceVerdict:
    """Return the verdict bounded, withheld where the only rest that was seen is an idle one.

    worked: how many points lie before that; judge: gives the verdict on them alone.
    """
    if entry.verdict != BOUNDED or worked >= len(x):
        return entry
    idle = span_text(float(x[-1] - x[worked - 1]), "second")
    words = f"; but it has hardly worked since {idle}: look again once it does"
    if y[worked - 1] - y[0] >= material(entry.name):
        before = judge()
        if before.verdict != BOUNDED:
            before = replace(before, more_x=0.0, advice=NO_ADVICE)
            return with_words(before, words, INCONCLUSIVE)
    return with_words(entry, words)


def with_words(entry: ResourceVerdict, words: str, verdict: str | None = None) -> ResourceVerdict:
    """Return the verdict with more words to its reason, or changed by them."""
    return replace(entry, why=f"{entry.why}{words}", verdict=verdict or entry.verdict)
