"""A cachetools cache whose bound is infinite."""

# label: leak
# resource: heap_bytes
# function: step
# needs: cachetools

import cachetools
from loop import run

CACHE = cachetools.LRUCache(maxsize=float("inf"))


def step(number):
    CACHE[number] = ["x" * 800, number]


if __name__ == "__main__":
    run(step)
