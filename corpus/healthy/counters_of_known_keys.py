"""Counters whose numbers grow, not their keys."""

from collections import Counter

from loop import run

COUNTS = Counter()


def step(number):
    for n in range(50):
        COUNTS["key-%d" % (n % 40)] += 10**6


if __name__ == "__main__":
    run(step)
