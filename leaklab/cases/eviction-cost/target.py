"""How a full store makes room: by sorting all entries, or by taking the first in order of use."""

import argparse
import time
from collections import OrderedDict

from leaklab import gauge, mark

STORE = OrderedDict()


def evict_by_sorting(excess):
    """The documented fix: the oldest are found by sorting every entry."""
    for key in sorted(STORE, key=STORE.get)[:excess]:
        del STORE[key]


def evict_in_order(excess):
    for _ in range(excess):
        STORE.popitem(last=False)


VARIANTS = {"documented_fix": evict_by_sorting, "better_fix": evict_in_order}


def run(arguments):
    evict = VARIANTS[arguments.variant]
    for number in range(arguments.entries):
        STORE[f"key-{number:09d}"] = number
    for iteration in range(arguments.iterations):
        first = arguments.entries + iteration * arguments.excess
        for number in range(first, first + arguments.excess):
            STORE[f"key-{number:09d}"] = number
        started = time.perf_counter()
        evict(arguments.excess)
        gauge("pause_milliseconds", 1000 * (time.perf_counter() - started))
        gauge("entry_count", len(STORE))
        mark()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("variant", choices=VARIANTS)
    parser.add_argument("--iterations", type=int, default=80, help="runs of the cleanup")
    parser.add_argument("--entries", type=int, default=50_000)
    parser.add_argument("--excess", type=int, default=100, help="entries above the limit at a run")
    run(parser.parse_args())
