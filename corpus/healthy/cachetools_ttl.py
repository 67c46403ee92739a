"""Entries live 60 iterations."""

import cachetools
from loop import run

NOW = [0]
CACHE = cachetools.TTLCache(maxsize=10_000, ttl=60, timer=lambda: NOW[0])


def step(number):
    NOW[0] = number
    CACHE[number] = b"x" * 3_000


if __name__ == "__main__":
    run(step)
