"""A hard memory limit under a cache that only grows: which limit holds, and what happens then."""

import resource

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

CACHE = {}

# variant: the limit that is set from inside; RLIMIT_RSS is accepted by Linux and ignored
VARIANTS = {
    "before": None,
    "limit_resident": resource.RLIMIT_RSS,
    "limit_data": resource.RLIMIT_DATA,
    "limit_address_space": resource.RLIMIT_AS,
}


def set_limit(kind, allowed_bytes):
    """Allow so much on top of what the process has now."""
    status = dict(line.split(":") for line in open("/proc/self/status") if "kB" in line)
    name = "VmData" if kind == resource.RLIMIT_DATA else "VmSize"
    now_bytes = 1024 * int(status[name].split()[0])
    resource.setrlimit(kind, (now_bytes + allowed_bytes, resource.RLIM_INFINITY))


def load_page(page_bytes):
    return bytearray(page_bytes)


def run(arguments):
    kind = VARIANTS[arguments.variant]
    if kind is not None:
        set_limit(kind, arguments.allowed_bytes)
    refused_count = 0
    for number in range(arguments.iterations):
        try:
            CACHE[number] = load_page(arguments.page_bytes)
        except MemoryError:
            refused_count += 1  # the service goes on, without this page in the cache
        gauge("refused_count", refused_count)
        gauge("cache_entries", len(CACHE))
        mark()


if __name__ == "__main__":
    run(case_arguments(__file__))
