"""Memory that is freed and stays resident: what one object in a thousand can hold.

One iteration is a round of work: a batch of records is made and dropped, but a few of them stay
until the next round. Nothing leaks; the question is what the process still occupies.
"""

import ctypes

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

PINNED = []
LIBC = ctypes.CDLL(None)


def make_small(number):
    return (number, number + 0.5)


def make_large(number):
    return bytearray(100_000)


def nothing():
    pass


def trim():
    """glibc gives back what is free at the end and, page by page, in the middle."""
    LIBC.malloc_trim(0)


# variant: (a record, one in how many stays, what is done after a round)
# pinned_malloc* run with PYTHONMALLOC=malloc, large_mapped with MALLOC_MMAP_THRESHOLD_ (case.toml).
VARIANTS = {
    "control": (make_small, None, nothing),
    "pinned": (make_small, 1000, nothing),
    "pinned_trimmed": (make_small, 1000, trim),
    "pinned_malloc": (make_small, 1000, nothing),
    "pinned_malloc_trimmed": (make_small, 1000, trim),
    "large_pinned": (make_large, 50, nothing),
    "large_trimmed": (make_large, 50, trim),
    "large_mapped": (make_large, 50, nothing),
}


def run(arguments):
    make, one_in, afterwards = VARIANTS[arguments.variant]
    records = arguments.batch_bytes // (100_000 if make is make_large else 100)
    for _ in range(arguments.iterations):
        batch = [make(number) for number in range(records)]
        kept = batch[::one_in] if one_in else []
        del batch
        PINNED[:] = kept
        del kept
        afterwards()
        gauge("pinned_count", len(PINNED))
        mark()


if __name__ == "__main__":
    run(case_arguments(__file__))
