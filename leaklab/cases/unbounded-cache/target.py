"""A page cache filled by requests for ever new pages, and three ways to bound it."""

from collections import OrderedDict

from cachetools import LRUCache

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

PAGES = {}


def build_page(number, payload_bytes):
    return f"{number:08d}" + "x" * (payload_bytes - 8)


def no_eviction(limits):
    pass


def evict_by_printed_length(limits):
    """The documented fix: at most so many entries, and so many "bytes" of len(str(cache))."""
    while len(PAGES) > limits.max_entries or len(str(PAGES)) > limits.max_bytes:
        PAGES.popitem(last=False)


# variant: (the cache, what is done after each new entry)
VARIANTS = {
    "before": (lambda limits: {}, no_eviction),
    "documented_fix": (lambda limits: OrderedDict(), evict_by_printed_length),
    "documented_fix_lru": (lambda limits: LRUCache(limits.max_entries), no_eviction),
    # Each page is measured once, when it comes in, and the cache evicts by the sum.
    "better_fix": (lambda limits: LRUCache(limits.max_bytes, getsizeof=len), no_eviction),
}


def run(arguments):
    global PAGES
    make_cache, evict = VARIANTS[arguments.variant]
    PAGES = make_cache(arguments)
    for number in range(arguments.iterations):
        PAGES[f"/page/{number}"] = build_page(number, arguments.payload_bytes)
        evict(arguments)
        gauge("cache_entries", len(PAGES))
        mark()


if __name__ == "__main__":
    run(case_arguments(__file__))
