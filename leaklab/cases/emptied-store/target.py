"""A store filled by a burst of clients and then swept empty: what the dict itself keeps."""

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

BUCKETS = {}


def sweep():
    """The documented fix removes every expired key from the live dict."""
    for client in list(BUCKETS):
        del BUCKETS[client]


def sweep_and_rebuild():
    """A dict never gives its table back by deletion; a new one has the size it needs."""
    global BUCKETS
    sweep()
    BUCKETS = dict(BUCKETS)


VARIANTS = {"documented_fix": sweep, "better_fix": sweep_and_rebuild}


def burst(clients, iteration):
    for number in range(clients):
        BUCKETS[number] = iteration


def run(arguments):
    clean = VARIANTS[arguments.variant]
    for iteration in range(arguments.iterations):
        burst(arguments.clients, iteration)
        clean()
        gauge("entry_count", len(BUCKETS))
        gauge("table_bytes", BUCKETS.__sizeof__())
        mark()


if __name__ == "__main__":
    run(case_arguments(__file__))
