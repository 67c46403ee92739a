"""How a full store makes room: by sorting all entries, or by taking the first in order of use."""

import time
from collections import OrderedDict

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

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
    run(case_arguments(__file__))
