"""What every workload reports of itself: the seconds of its work and its own CPU, as JSON."""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FIGURES_VARIABLE = "BENCHMARK_FIGURES"


@contextmanager
def timed() -> Iterator[None]:
    """Write the figures of the enclosed work to the file named in ``BENCHMARK_FIGURES``."""
    begun = time.perf_counter()
    yield
    ended = time.perf_counter()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "work_seconds": ended - begun,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "ended": time.time(),
    }
    if path := os.environ.get(FIGURES_VARIABLE):
        Path(path).write_text(json.dumps(figures))
