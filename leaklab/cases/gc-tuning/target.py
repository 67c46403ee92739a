"""Cyclic garbage under the collector's settings; and a real leak, which none of them cures."""

import gc

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

KEPT = []
DEFAULT = 700, 10, 10  # Python's own up to 3.12; since 3.13 the first is 2000


class Node:
    """Two of them in a cycle: reference counting never frees them."""

    def __init__(self, payload_bytes):
        self.payload = bytearray(payload_bytes)
        self.other = None


def make_cycle(payload_bytes):
    first, second = Node(payload_bytes), Node(payload_bytes)
    first.other, second.other = second, first
    return first


def default_settings(iteration):
    gc.set_threshold(*DEFAULT)


def halved_thresholds(iteration):
    """The documented fix, GOGC=50, in Python's terms."""
    gc.set_threshold(DEFAULT[0] // 2, *DEFAULT[1:])


def disabled(iteration):
    gc.disable()


def periodic_collection(iteration):
    """The documented periodic runtime.GC(), with nothing but it."""
    gc.disable()
    if iteration % 10 == 9:
        gc.collect()


# variant: (settings, is every cycle kept?, how many times larger the nodes are)
VARIANTS = {
    "control": (default_settings, False, 1),
    "documented_fix": (halved_thresholds, False, 1),
    "documented_periodic": (periodic_collection, False, 1),
    "disabled": (disabled, False, 1),
    "large_nodes": (default_settings, False, 1000),
    "leak_default": (default_settings, True, 1),
    "leak_tuned": (halved_thresholds, True, 1),
}


def run(arguments):
    settings, keep, factor = VARIANTS[arguments.variant]
    cycles = arguments.cycles // (100 if factor > 1 else 1)
    # The oldest generation waits until a quarter as much is new as was there before. Without what
    # the imports left there it is collected within the run, as in a service after its first hours.
    gc.collect()
    gc.freeze()
    gc.collect()
    for iteration in range(arguments.iterations):
        settings(iteration)
        for _ in range(cycles):
            cycle = make_cycle(arguments.payload_bytes * factor)
            if keep:
                KEPT.append(cycle)
        del cycle
        gauge("waiting_object_count", gc.get_count()[0])
        mark()


if __name__ == "__main__":
    run(case_arguments(__file__))
