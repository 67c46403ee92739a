"""A look that is under way: what analyses the copy of a worker, beside the service."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from leaklab.door import folder as store
from leaklab.door.beside import Analysis

# The copy ends by itself by then; what is read of it may take a little longer.
WALK_SECONDS = 90.0
_ANALYSIS_SECONDS = WALK_SECONDS + 30


class Look:
    """The analysis of the dump that ``walker`` writes, begun now; nobody waits for it.

    held_seconds: how long the worker was held by the copy. adopted: the walker is a child of this
    process, which has to collect it.
    """

    def __init__(
        self, dump: Path, walker: int, result: Path, held_seconds: float, *, adopted: bool
    ) -> None:
        self._walker, self._adopted = walker, adopted
        self._walker_ticks = store.started_ticks(walker)
        words = [str(dump), str(walker), str(result), str(held_seconds)]
        self._analysis = Analysis(words, _ANALYSIS_SECONDS)

    def is_over(self) -> bool:
        """Whether all of it has ended and was collected; what takes too long is ended."""
        if not self._analysis.is_over():
            return False
        if self._adopted:
            with contextlib.suppress(ChildProcessError):  # somebody has collected it meanwhile
                if os.waitpid(self._walker, os.WNOHANG) == (0, 0):
                    return False
            self._adopted = False
        return True

    @property
    def reason(self) -> str:
        """Why a look that is over has no answer, where it has none."""
        return self._analysis.reason

    def end(self) -> None:
        """End the copy of a worker that ends, and its analysis: nobody will ask for it."""
        self._analysis.end()
        if self._walker_ticks is not None:  # by its number alone it could be somebody else
            with contextlib.suppress(OSError):
                if store.started_ticks(self._walker) == self._walker_ticks:
                    os.kill(self._walker, signal.SIGKILL)
