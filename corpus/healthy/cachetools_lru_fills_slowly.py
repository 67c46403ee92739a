"""An LRU cache of 200 entries."""

import cachetools
from loop import run

CACHE = cachetools.LRUCache(maxsize=200)


def step(number):
    CACHE[f"user-{number}"] = ["x" * 500, number]


if __name__ == "__main__":
    run(step)
