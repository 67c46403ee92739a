"""The loop that every workload of the corpus runs in.

``python leak/NAME.py [--iterations N] [--seed N] [--no-marks] [--seconds S]``: a workload hands its
unit of work to :func:`run`. Without marks a unit takes at least a fiftieth of a second, so that a
recorder that goes by time sees the run; ``--seconds`` makes the units of a run take so long.
"""

import argparse
import random
import sys
import time

import leaklab

PACE_SECONDS = 0.02


def mark():
    """End a unit of work, unless the run is to have no marks."""
    if "--no-marks" not in sys.argv:
        leaklab.mark()


def run(step, iterations=300):
    """Call ``step(number)`` again and again and mark the end of each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--iterations", type=int, default=iterations)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-marks", action="store_true")
    parser.add_argument("--seconds", type=float, default=0.0)
    options = parser.parse_args()
    pause_seconds = PACE_SECONDS if options.no_marks else options.seconds / options.iterations
    random.seed(options.seed)
    for number in range(options.iterations):
        step(number)
        mark()
        if pause_seconds:
            time.sleep(pause_seconds)
