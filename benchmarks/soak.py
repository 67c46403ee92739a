"""A long recording in short: is the recorder's memory flat and its disk bounded?

Records a target that leaks and churns at a pace a thousand times that of a real service, and notes
the recorder's resident set, its heap reader's, and the size of the run at ten moments. A
60-minute service with a mark each 0.1 s makes 36,000 marks: that many are made here.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

TARGET = """
import sys
from leaklab import mark

kept = []

def work(number):
    junk = [bytearray(500) for _ in range(200)]
    del junk
    kept.append(bytes(1000))

def main(marks):
    for number in range(marks):
        work(number)
        mark()

main(int(sys.argv[1]))
"""
MOMENT_COUNT = 10


def folder_bytes(folder: Path) -> int:
    """Return the size of all files below ``folder``, which grows and is tidied meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:
            continue
    return total


def recorder_bytes(recorder: psutil.Process) -> tuple[int, int]:
    """Return the resident sets of the recorder and of its heap reader (0 without one)."""
    readers = [
        child
        for child in recorder.children()
        if any("heap_reader" in word for word in child.cmdline())
    ]
    return recorder.memory_info().rss, sum(child.memory_info().rss for child in readers)


def main() -> None:
    """Record, look every few seconds, print ten of the looks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--marks", type=int, default=36_000)
    parser.add_argument("--passes", default="measure,explain")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="leaklab-soak-") as name:
        folder = Path(name)
        (folder / "target.py").write_text(TARGET)
        begun = time.monotonic()
        recorder = subprocess.Popen(
            [
                *(sys.executable, "-m", "leaklab", "record", "--store", str(folder / "runs")),
                *("--passes", arguments.passes, "--", "target.py", str(arguments.marks)),
            ],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )
        watched, looks = psutil.Process(recorder.pid), []
        while recorder.poll() is None:
            try:
                resident = recorder_bytes(watched)
            except psutil.Error:
                continue
            looks.append((time.monotonic() - begun, *resident, folder_bytes(folder / "runs")))
            time.sleep(0.5)
        if recorder.returncode:
            raise SystemExit(f"the recording failed with {recorder.returncode}")
        final = folder_bytes(folder / "runs")
    print("| second | recorder MiB | heap reader MiB | run MiB |\n|---|---|---|---|")
    for place in range(MOMENT_COUNT):
        second, *sizes = looks[len(looks) * place // MOMENT_COUNT]
        cells = " | ".join(f"{size / 2**20:.1f}" for size in sizes)
        print(f"| {second:.0f} | {cells} |")
    print(f"\nThe closed run takes {final / 2**20:.1f} MiB ({arguments.marks} marks).")


if __name__ == "__main__":
    main()
