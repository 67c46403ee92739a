"""Run one workload of the corpus under another tool: ``python peer_driver.py TOOL WORKLOAD``.

The workload's own loop is replaced by one that puts the tool around its unit of work, the way the
tool's documentation asks for. Prints one line of JSON: alarm, and the lines named, best first.
"""

from __future__ import annotations

import gc
import json
import random
import runpy
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

CORPUS = Path(__file__).parents[1] / "corpus"
# A line that gained less over the run is taken for noise; the same limit as for limit_leaks.
LIMIT_BYTES = 10_000

Step = Callable[[int], None]


def two_snapshots(step: Step, iterations: int) -> dict[str, object]:
    """tracemalloc: a snapshot after a fifth of the run and one at its end, compared by line."""
    tracemalloc.start()
    for number in range(iterations // 5):
        step(number)
    gc.collect()
    first = tracemalloc.take_snapshot()
    for number in range(iterations // 5, iterations):
        step(number)
    gc.collect()
    grown = tracemalloc.take_snapshot().compare_to(first, "lineno")
    grown = [
        entry
        for entry in sorted(grown, key=lambda entry: -entry.size_diff)
        if entry.size_diff > 0 and "tracemalloc" not in entry.traceback[0].filename
    ]
    lines = [[entry.traceback[0].filename, entry.traceback[0].lineno] for entry in grown[:3]]
    return {"alarm": bool(grown) and grown[0].size_diff >= LIMIT_BYTES, "lines": lines}


def leak_hunter(step: Step, iterations: int) -> dict[str, object]:
    """python-leak-hunter: which types accumulate in two windows after a warm-up."""
    from leak_hunter import measure_growth

    numbers = iter(range(iterations))
    report = measure_growth(
        lambda: step(next(numbers)),
        warmup=iterations // 5,
        iterations=iterations * 2 // 5 - 1,
    )
    return {"alarm": bool(report.leaked), "lines": []}


TOOLS = {"tracemalloc": two_snapshots, "leak_hunter": leak_hunter}


class _Found(BaseException):
    """Ends a workload where its loop would begin: what comes after would close what it works on."""


def load(path: str) -> tuple[Step, int]:
    """The unit of work of a workload and how often it wants to run, without running it."""
    sys.path.insert(0, str(CORPUS))
    import loop

    def stop(step: Step, iterations: int = 300) -> None:
        raise _Found(step, iterations)

    loop.run = stop
    loop.mark = lambda: None
    sys.argv = [path]
    try:
        runpy.run_path(path, run_name="__main__")
    except _Found as found:
        random.seed(0)
        step, iterations = found.args
        return step, iterations
    raise SystemExit(f"{path}: runs nothing")


if __name__ == "__main__":
    tool, workload = sys.argv[1:3]
    print(json.dumps(TOOLS[tool](*load(workload))))
