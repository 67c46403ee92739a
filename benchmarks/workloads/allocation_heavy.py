"""Four thousand allocations and frees per unit, a kilobyte kept: the worst case of a tracer."""

import sys

from clock import timed

from leaklab import mark

kept = []


def build(number):
    """Keep something."""
    kept.append([bytes(600 + number % 50), number])


def main(iterations):
    """Do the work."""
    for number in range(iterations):
        junk = [bytearray(100) for _ in range(1000)]
        del junk
        build(number)
        if number % 20 == 0:
            mark()


with timed():
    main(int(sys.argv[1]))
