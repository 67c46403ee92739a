"""A full cache replaces entries of different sizes at random."""

import random

from loop import run

CACHE = {}


def step(number):
    for _ in range(5):
        CACHE[random.randrange(120)] = bytes(random.randrange(200, 6_000))


if __name__ == "__main__":
    run(step)
