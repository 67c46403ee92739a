"""Pure computation in units of a few milliseconds: what recording costs when nothing leaks."""

import sys

from clock import clocked, timed

from leaklab import mark


def main(iterations, marked):
    """Do the work."""
    total, end_unit = 0, clocked(mark)
    for _ in range(iterations):
        for number in range(100_000):
            total += number * number % 7
        if marked:
            end_unit()
    return total


with timed():
    main(int(sys.argv[1]), sys.argv[2] == "marked")
