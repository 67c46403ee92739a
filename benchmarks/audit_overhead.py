"""What 200 auto-gauges cost: the same program recorded with and without them, in turns.

    python benchmarks/audit_overhead.py [--pairs N]

The program works for about a millisecond between two marks on 200 containers, of which it fills one
for each. It takes its own processor time: of all it does, and of its marks alone, in which the
readings are taken. Prints the cost of one reading of all, the paired ratio of the program's times,
and what the marks cost more with the readings as a share of the program's time, with a 95 %
interval over the pairs: the work between the marks is the same, and what a busy machine makes of
it is left out.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from scipy.special import stdtrit

import leaklab as ll

COUNT = 200
PROGRAM = """
import time
from leaklab import mark
{containers}
begun = time.process_time()
in_marks = 0.0
for number in range({marks}):
    globals()["C%d" % (number % {count})].append(number)
    sum(index * index for index in range(30_000))
    before = time.process_time()
    mark()
    in_marks += time.process_time() - before
print(time.process_time() - begun, in_marks)
"""
READING = """
import sys, time
sys.path[:0] = {path!r}
from leaklab.probe.watched import Watched
import program_module
watched = Watched({listing!r})
watched.read()
begun = time.perf_counter()
for _ in range(200):
    watched._spent_seconds = 0.0  # no reading is left out here
    assert len(watched.read()) == {count}
print((time.perf_counter() - begun) / 200)
"""


def seconds_of(run):
    ended = run.meta["passes"][0]
    if not ended["stdout_tail"]:
        raise SystemExit(f"the program failed: {ended}")
    whole, in_marks = ended["stdout_tail"].split()[-2:]
    return float(whole), float(in_marks)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--marks", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        containers = "\n".join(f"C{number} = []" for number in range(COUNT))
        program = Path(folder, "program.py").resolve()
        program.write_text(
            PROGRAM.format(containers=containers, marks=arguments.marks, count=COUNT)
        )
        module = Path(folder, "program_module.py").resolve()
        module.write_text(containers + "\n")
        rows = [f"read\tm:C{number}\t{module}\tC{number}" for number in range(COUNT)]
        listing = Path(folder, "watched.tsv")
        listing.write_text("\n".join(rows) + "\n")
        root = str(Path(ll.__file__).parents[1])
        script = READING.format(path=[root, folder], listing=str(listing), count=COUNT)
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        print(f"one reading of {COUNT}: {float(done.stdout) * 1e6:.0f} microseconds")
        watches = tuple(f"program:C{number}\t{program}\tC{number}" for number in range(COUNT))
        ratios, shares = [], []
        for pair in range(arguments.pairs):
            seconds = {}
            for watched in (False, True) if pair % 2 else (True, False):
                options = {"watch_containers": watches} if watched else {}
                run = ll.record(
                    program,
                    passes=("measure",),
                    # Collections have a budget of their own, which would be most of the marks here.
                    collect="never",
                    store=f"{folder}/runs",
                    fresh=True,
                    progress=lambda event: None,
                    **options,
                )
                seconds[watched] = seconds_of(run)
            (bare, bare_marks), (whole, marks) = seconds[False], seconds[True]
            ratios.append(whole / bare)
            shares.append((marks - bare_marks) / bare)
            print(
                f"  pair {pair}: {bare:.3f} s, {bare_marks:.3f} of them in marks; "
                f"with the readings {whole:.3f} s, {marks:.3f} in marks"
            )
        print(f"median ratio {statistics.median(ratios):.4f}, {min(ratios):.4f}-{max(ratios):.4f}")
        mean = statistics.fmean(shares)
        half = stdtrit(len(shares) - 1, 0.975) * statistics.stdev(shares) / len(shares) ** 0.5
        print(
            f"the readings cost {mean:.2%} of the program's time "
            f"(95 %: {mean - half:.2%} to {mean + half:.2%}, {len(shares)} pairs)"
        )


if __name__ == "__main__":
    main()
