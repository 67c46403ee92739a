"""What one ``set`` of a full cache costs when the cache measures itself.

One iteration stores one page in a cache that is full from the start, so nothing grows: the
question is the work and the temporary memory of each ``set``.
"""

import time
from collections import OrderedDict

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

ARGUMENTS = case_arguments(__file__)
LIMIT_BYTES = 50 * 2**20


def build_page(number):
    return f"{number:08d}" + "x" * (ARGUMENTS.page_bytes - 8)


class CountedCache:
    """Bounds the number of entries and never looks at their size."""

    def __init__(self):
        self.entries = OrderedDict()
        self.formatted_bytes = 0

    def set(self, key, value):
        self.entries[key] = value
        if len(self.entries) > ARGUMENTS.entries:
            self.evict()

    def evict(self):
        return self.entries.popitem(last=False)


class FormattedCache(CountedCache):
    """The documented fix: every ``set`` asks how large the cache is."""

    def set(self, key, value):
        super().set(key, value)
        while self.memory_usage() > LIMIT_BYTES:
            self.evict()

    def memory_usage(self):
        text_bytes = len(str(self.entries))
        self.formatted_bytes += text_bytes
        return text_bytes


class MeasuredCache(CountedCache):
    """A running total: only the new value and the one that leaves are measured."""

    total_bytes = 0

    def set(self, key, value):
        self.total_bytes += len(value)
        super().set(key, value)
        while self.total_bytes > LIMIT_BYTES:
            self.evict()

    def evict(self):
        key, value = super().evict()
        self.total_bytes -= len(value)
        return key, value


CACHE = {"before": CountedCache, "documented_fix": FormattedCache, "better_fix": MeasuredCache}[
    ARGUMENTS.variant
]()
for number in range(ARGUMENTS.entries):
    CountedCache.set(CACHE, f"page-{number:08d}", build_page(number))

set_seconds = 0.0
for iteration in range(ARGUMENTS.entries, ARGUMENTS.entries + ARGUMENTS.iterations):
    page = build_page(iteration)
    CACHE.formatted_bytes = 0
    started = time.perf_counter()
    CACHE.set(f"page-{iteration:08d}", page)
    set_seconds += time.perf_counter() - started
    gauge("formatted_bytes", CACHE.formatted_bytes)
    mark()
print(f"{1_000 * set_seconds / ARGUMENTS.iterations:.3f} ms per set")
