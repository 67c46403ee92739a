"""A cache over 60 keys asked for at random."""

import random

from loop import run

CACHE = {}


def step(number):
    key = random.randrange(60)
    if key not in CACHE:
        CACHE[key] = "x" * 4_000


if __name__ == "__main__":
    run(step)
