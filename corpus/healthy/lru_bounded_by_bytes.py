"""A cache that holds 1.5 MB, of values from a hundred bytes to a quarter of a megabyte."""

import collections
import random

from loop import run

LIMIT = 1_500_000
CACHE = collections.OrderedDict()
USED = [0]


def load(key):
    size = min(250_000, int(100 * random.Random(key).paretovariate(0.7)))
    return bytes(size)


def get(key):
    if key in CACHE:
        CACHE.move_to_end(key)
        return CACHE[key]
    value = CACHE[key] = load(key)
    USED[0] += len(value)
    while USED[0] > LIMIT:
        USED[0] -= len(CACHE.popitem(last=False)[1])
    return value


def step(number):
    for _ in range(20):
        get(int(random.paretovariate(0.3)) % 20_000)


if __name__ == "__main__":
    run(step, iterations=400)
