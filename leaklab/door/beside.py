"""The analysis beside a service: a process of its own that ends with the worker it is for."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


class Analysis:
    """One that is begun now; nobody waits for it.

    Only from a thread that lives as long as the worker: the process ends with that thread.
    longest_seconds: what takes longer is ended. keep_open: descriptors that it gets as they are.
    """

    def __init__(
        self, words: Sequence[str], longest_seconds: float, keep_open: Sequence[int] = ()
    ) -> None:
        self._longest_seconds = longest_seconds
        self._until = time.monotonic() + longest_seconds
        self._late, self._said = False, ""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LEAKLAB_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "leaklab.door.analysis", str(os.getpid()), *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,  # a line where something goes wrong
            stderr=subprocess.DEVNULL,
            pass_fds=tuple(keep_open),
        )

    def is_over(self) -> bool:
        """Whether it has ended and was collected; one that takes too long is ended."""
        if self._process.poll() is None:
            if time.monotonic() >= self._until:
                self._late = True
                self._process.kill()
            return False
        if self._process.stdout is not None and not self._process.stdout.closed:
            with self._process.stdout as said:
                self._said = said.read(1000).decode(errors="replace").strip()
        return True

    @property
    def is_well(self) -> bool:
        """Whether one that is over has done what it was for."""
        return self._process.returncode == 0

    @property
    def reason(self) -> str:
        """How one that is over has ended, for who waits for an answer that is not there."""
        if self._said and not self._late:
            return self._said
        status = self._process.returncode
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        if self._late:
            how = f"was ended after {self._longest_seconds:g} s, on a machine too busy for it,"
        return f"the analysis {how} and left no answer; try again later"

    def end(self) -> None:
        """End it with its worker: nobody will ask for it."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def end_with(worker: int) -> None:
    """End this process when the worker that has started it ends, however that does."""
    with contextlib.suppress(AttributeError):  # only Linux has it
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != worker:  # it has ended before that could be asked for
        sys.exit(0)
