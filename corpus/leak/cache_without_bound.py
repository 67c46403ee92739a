"""A cachetools cache whose bound is infinite."""

import cachetools
from loop import run

CACHE = cachetools.LRUCache(maxsize=float("inf"))


def step(number):
    CACHE[number] = ["x" * 800, number]


if __name__ == "__main__":
    run(step)
