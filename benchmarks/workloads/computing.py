"""Pure computation in units of a few milliseconds: what recording costs when nothing leaks."""

import sys

from clock import timed

from leaklab import mark


def main(iterations, marked):
    """Do the work."""
    total = 0
    for _ in range(iterations):
        for number in range(100_000):
            total += number * number % 7
        if marked:
            mark()
    return total


with timed():
    main(int(sys.argv[1]), sys.argv[2] == "marked")
