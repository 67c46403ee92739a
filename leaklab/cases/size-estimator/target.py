"""A cache with a limit in bytes: what the limit holds depends on how entries are measured.

One iteration stores one page. The documented cache measures itself with ``len(str(cache))``; the
better one measures each new value once, with pympler, and keeps a running total.
"""

from collections import OrderedDict

import numpy
from pympler.asizeof import asizeof

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments


def build_array(number):
    return numpy.full(10_000, float(number))


def build_text(number):
    return f"{number:06d}" + "x" * 9_994


def build_emoji(number):
    return chr(0x1F600 + number % 64) * 10_000


def build_binary(number):
    return number.to_bytes(4, "big") + bytes(9_996)


def build_numbers(number):
    return [number * 1_000 + offset + 10_000 for offset in range(1_000)]


def build_rows(number):
    return [
        {f"column_{column}": f"{number}-{row}-{column}" for column in range(8)} for row in range(20)
    ]


class Page:
    """Has no __repr__ of its own, like most classes."""

    def __init__(self, number):
        self.body = build_text(number)


SHARED_PAGE = build_text(0)


def build_shared(number):
    return SHARED_PAGE


class UnlimitedCache:
    def __init__(self):
        self.entries = OrderedDict()

    def set(self, key, value):
        self.entries[key] = value


class FormattedCache(UnlimitedCache):
    """The documented limit: the text of the whole cache is built to measure it."""

    def set(self, key, value):
        super().set(key, value)
        while self.estimated_bytes() > LIMIT_BYTES:
            self.entries.popitem(last=False)

    def estimated_bytes(self):
        return len(str(self.entries))


class MeasuredCache(UnlimitedCache):
    """Each value is measured once, when it comes in."""

    def __init__(self):
        super().__init__()
        self.sizes = {}
        self.total_bytes = 0

    def set(self, key, value):
        super().set(key, value)
        self.sizes[key] = asizeof(value)
        self.total_bytes += self.sizes[key]
        while self.total_bytes > LIMIT_BYTES:
            oldest, _ = self.entries.popitem(last=False)
            self.total_bytes -= self.sizes.pop(oldest)


VARIANTS = {
    "before": (UnlimitedCache, build_array),
    "documented_fix": (FormattedCache, build_array),
    "better_fix": (MeasuredCache, build_array),
    "text": (FormattedCache, build_text),
    "emoji": (FormattedCache, build_emoji),
    "binary": (FormattedCache, build_binary),
    "numbers": (FormattedCache, build_numbers),
    "rows": (FormattedCache, build_rows),
    "objects": (FormattedCache, Page),
    "shared": (FormattedCache, build_shared),
}

ARGUMENTS = case_arguments(__file__)
LIMIT_BYTES = ARGUMENTS.limit_bytes
CACHE_CLASS, BUILD = VARIANTS[ARGUMENTS.variant]
CACHE = CACHE_CLASS()
PAGE_BYTES = asizeof(BUILD(1))


def serve(number):
    CACHE.set(number, BUILD(number))


for iteration in range(ARGUMENTS.iterations):
    serve(iteration)
    gauge("entries", len(CACHE.entries))
    gauge("held_bytes", PAGE_BYTES * len({id(page) for page in CACHE.entries.values()}))
    mark()
