"""A look that is under way: what analyses the copy of a worker, beside the service."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from leaklab.door import folder as store

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
        self._until = time.monotonic() + _ANALYSIS_SECONDS
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LEAKLAB_")}
        words = [str(dump), str(walker), str(result), str(held_seconds)]
        self._analysis = subprocess.Popen(
            [sys.executable, "-m", "leaklab.door.analysis", *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def is_over(self) -> bool:
        """Whether all of it has ended and was collected; what takes too long is ended."""
        if self._analysis.poll() is None:
            if time.monotonic() >= self._until:
                self._analysis.kill()
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
        status = self._analysis.returncode
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        return f"the analysis {how} and left no answer; try again later"

    def end(self) -> None:
        """End the copy of a worker that ends, and its analysis: nobody will ask for it."""
        self._analysis.kill()
        self._analysis.wait()
        if self._walker_ticks is not None:  # by its number alone it could be somebody else
            with contextlib.suppress(OSError):
                if store.started_ticks(self._walker) == self._walker_ticks:
                    os.kill(self._walker, signal.SIGKILL)
