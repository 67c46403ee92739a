"""How long does the verdict on a very large run take? 100,000 stacks × 1,000 snapshots.

    python benchmarks/large_run.py [--stacks N] [--snapshots N] [--changes N]

The run is made up: at each snapshot random stacks change, as in a service that churns, and one in a
thousand grows at every snapshot. It is stored as a recording is, changes only, then opened and
judged in a new process, whose seconds and largest resident set are printed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile

import numpy as np

from leaklab.store import RunWriter

FRAME_COUNT = 20_000
# One stack in so many leaks.
LEAKING = 1_000

JUDGE = """
import json, resource, sys, time
import leaklab.verdict.judge
from leaklab.store import open_run

begun, cpu = time.monotonic(), time.process_time()
verdict = leaklab.verdict.judge.judge(open_run(sys.argv[1]))
print(json.dumps({
    "seconds": time.monotonic() - begun,
    "cpu_seconds": time.process_time() - cpu,
    "resident_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "verdict": verdict.verdict,
}))
"""


def write(store: str, stack_count: int, snapshot_count: int, change_count: int) -> str:
    """Store the run; returns its folder."""
    random = np.random.default_rng(0)
    process = {"process": 0, "pass": "explain", "role": "main", "mark_count": snapshot_count}
    meta = {"processes": [process], "passes": [{"pass": "explain"}]}
    writer = RunWriter.create(store, "large", None, meta)
    functions = [f"function_{number}" for number in range(FRAME_COUNT)]
    files = [f"app/module_{number % 300}.py" for number in range(FRAME_COUNT)]
    frames = {
        "frame_id": list(range(FRAME_COUNT)),
        "function": functions,
        "file": files,
        "line": [number % 1000 + 1 for number in range(FRAME_COUNT)],
        "origin": ["target" if number % 3 else "site-packages" for number in range(FRAME_COUNT)],
    }
    writer.append("frames", frames)
    depths = random.integers(8, 30, stack_count)
    stacks = {
        "stack_id": list(range(stack_count)),
        "allocator": ["malloc"] * stack_count,
        "frame_ids": [random.integers(0, FRAME_COUNT, depth).tolist() for depth in depths],
    }
    writer.append("stacks", stacks)
    leaking = np.arange(7, stack_count, LEAKING)
    live = random.integers(100, 10_000, stack_count)
    changed = np.arange(stack_count)
    for snapshot in range(snapshot_count):
        if snapshot:
            churning = random.integers(0, stack_count, change_count // snapshot_count)
            live[churning] = random.integers(100, 10_000, len(churning))
            live[leaking] = 1_000 + 200 * snapshot
            changed = np.union1d(churning, leaking)
        rows = {
            "process": [0] * len(changed),
            "snapshot": [snapshot] * len(changed),
            "stack_id": changed.tolist(),
            "live_bytes": live[changed].tolist(),
            "allocation_count": (live[changed] // 100).tolist(),
        }
        writer.append("heap", rows)
        row = {
            "pass": ["explain"],
            "process": [0],
            "snapshot": [snapshot],
            "mark": [snapshot + 1],
            "time_seconds": [float(snapshot)],
            "live_bytes": [int(live.sum())],
            "allocation_count": [int((live // 100).sum())],
            "stack_count": [stack_count],
            "exact": [True],
            "quiescent": [True],
        }
        writer.append("snapshots", row)
    writer.close("complete")
    return writer.path


def main() -> None:
    """Write the run, judge it, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stacks", type=int, default=100_000)
    parser.add_argument("--snapshots", type=int, default=1_000)
    parser.add_argument("--changes", type=int, default=5_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="leaklab-bench-") as store:
        run = write(store, options.stacks, options.snapshots, options.changes)
        command = [sys.executable, "-c", JUDGE, run]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures = json.loads(done.stdout)
    print("| stacks | snapshots | changes | verdict | seconds | CPU seconds | resident |")
    print("|---|---|---|---|---|---|---|")
    print(
        f"| {options.stacks:,} | {options.snapshots:,} | {options.changes:,} "
        f"| {figures['verdict']} | {figures['seconds']:.1f} | {figures['cpu_seconds']:.1f} "
        f"| {figures['resident_mib']:.0f} MiB |"
    )


if __name__ == "__main__":
    main()
