"""What every workload reports of itself: the seconds of its work and its own CPU, as JSON."""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

FIGURES_VARIABLE = "BENCHMARK_FIGURES"
# Seconds spent in what `clocked` was given, in all.
_clocked = [0.0]


def clocked(function: Callable[[], object]) -> Callable[[], None]:
    """Return a function that does the same and takes the time that it takes."""

    def call() -> None:
        begun = time.perf_counter()
        function()
        _clocked[0] += time.perf_counter() - begun

    return call


@contextmanager
def timed() -> Iterator[None]:
    """Write the figures of the enclosed work to the file named in ``BENCHMARK_FIGURES``."""
    begun = time.perf_counter()
    yield
    ended = time.perf_counter()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "work_seconds": ended - begun,
        "mark_seconds": _clocked[0],
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "ended": time.time(),
    }
    if path := os.environ.get(FIGURES_VARIABLE):
        Path(path).write_text(json.dumps(figures))
