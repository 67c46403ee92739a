"""`leaklab import` beside memray's own reporters, on one capture of at least 80 M records.

Every figure is of a whole process: wall seconds, the largest resident set. The ratio is against
the fastest of memray's reporters in the same run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import memray

WORKLOAD = """
import sys

kept = {}

def build(number):
    return [bytes(600 + number % 50), number]

def main(iterations):
    for number in range(iterations):
        junk = [bytearray(100) for _ in range(1000)]
        del junk
        kept[number] = build(number)

main(int(sys.argv[1]))
"""
# A bytearray of 100 bytes is an object and a buffer: allocated and freed, four records.
RECORDS_PER_ITERATION = 4_000


def measure(command: list[str], folder: Path) -> tuple[float, float]:
    """Run ``command``; return its wall seconds and its largest resident set in MiB."""
    begun = time.monotonic()
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    errors = process.stderr.read().decode()
    process.stderr.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"failed with {process.returncode}: {' '.join(command)}\n{errors}")
    return time.monotonic() - begun, usage.ru_maxrss / 1024


def main() -> None:
    """Record the capture, time every reader of it in turn, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=80_000_000)
    parser.add_argument("--repetitions", type=int, default=1)
    arguments = parser.parse_args()
    python = sys.executable
    with tempfile.TemporaryDirectory(prefix="leaklab-bench-") as name:
        folder = Path(name)
        script = folder / "workload.py"
        script.write_text(WORKLOAD)
        iterations = -(-arguments.records // RECORDS_PER_ITERATION)
        capture = folder / "capture.bin"
        run = ["-m", "memray", "run", "-q", "--trace-python-allocators", "-o", str(capture)]
        measure([python, *run, str(script), str(iterations)], folder)
        record_count = memray.FileReader(capture).metadata.total_allocations
        readers = {
            "memray stats": ["-m", "memray", "stats", str(capture)],
            "memray summary": ["-m", "memray", "summary", str(capture)],
            "memray table --leaks": [
                *("-m", "memray", "table", "--leaks", "-f", "-o", "table.html", str(capture))
            ],
            "memray flamegraph --temporal": [
                *("-m", "memray", "flamegraph", "--temporal", "-f", "-o", "f.html", str(capture))
            ],
            "leaklab import": ["-m", "leaklab", "import", str(capture), "--store", "store"],
        }
        best: dict[str, tuple[float, float]] = {}
        for _ in range(arguments.repetitions):
            for label, command in readers.items():
                figures = measure([python, *command], folder)
                best[label] = min(best.get(label, figures), figures)
        size = capture.stat().st_size / 2**20
    print(f"{record_count / 1e6:.0f} M records, {size:.0f} MiB\n")
    fastest = min(seconds for label, (seconds, _) in best.items() if label != "leaklab import")
    print("| reader | seconds | ratio to the fastest of memray's | largest resident set |")
    print("|---|---|---|---|")
    for label, (seconds, resident) in best.items():
        print(f"| {label} | {seconds:.1f} | {seconds / fastest:.2f} | {resident:.0f} MiB |")


if __name__ == "__main__":
    main()
