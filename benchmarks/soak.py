"""A long recording in short: is the recorder's memory flat and its disk bounded?

Records a target that leaks and churns as fast as it can, and notes the resident sets of the
recorder and of its heap reader and the size of the run at the start, in the middle and at the end
of each pass, and while the run is closed. A 60-minute service with a mark each 0.1 s makes 36,000
marks: more than five times as many are made here. The heap reader holds the target's live
allocations: it grows with what the target keeps.
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
MOMENTS = {"start": 0.1, "middle": 0.5, "end": 1.0}


def folder_bytes(folder: Path) -> int:
    """Return the size of all files below ``folder``, which grows and is tidied meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:
            continue
    return total


def look(recorder: psutil.Process) -> tuple[str, int, int]:
    """Return what the recorder does and the resident sets of it and of its reader and relay."""
    commands = {child: " ".join(child.cmdline()) for child in recorder.children()}
    readers = [child for child, command in commands.items() if "/recorder/heap/" in command]
    doing = "explain" if readers else "measure"
    if not any("target.py" in command for command in commands.values()):
        doing = "closing"
    read = sum(child.memory_info().rss for child in readers)
    return doing, recorder.memory_info().rss, read


def main() -> None:
    """Record, look twice a second, print some of the looks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--marks", type=int, default=200_000)
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
                seen = look(watched)
            except psutil.Error:
                continue
            if looks or seen[0] != "closing":  # it is still starting
                looks.append((time.monotonic() - begun, *seen, folder_bytes(folder / "runs")))
            time.sleep(0.5)
        if recorder.returncode:
            raise SystemExit(f"the recording failed with {recorder.returncode}")
        final = folder_bytes(folder / "runs")
    print("| pass | second | recorder MiB | heap reader MiB | run MiB |\n|---|---|---|---|---|")
    for doing in ("measure", "explain", "closing"):
        mine = [one for one in looks if one[1] == doing]
        for moment, share in MOMENTS.items() if mine else ():
            second, _, *sizes = mine[int((len(mine) - 1) * share)]
            cells = " | ".join(f"{size / 2**20:.1f}" for size in sizes)
            print(f"| {doing}, {moment} | {second:.0f} | {cells} |")
        if mine and doing != "closing":
            first, last = mine[int((len(mine) - 1) * MOMENTS["start"])], mine[-1]
            growth = [(b - a) / 2**20 for a, b in zip(first[2:], last[2:], strict=True)]
            print(f"| {doing}, growth | | {' | '.join(f'{one:+.1f}' for one in growth)} |")
    print()
    print(f"The closed run takes {final / 2**20:.1f} MiB ({arguments.marks} marks).")


if __name__ == "__main__":
    main()
