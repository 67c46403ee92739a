"""A warm-up of 4 MB before a leak of 500 bytes."""

import functools

from loop import run


@functools.lru_cache(maxsize=None)
def table(number):
    return [str(n) * 3 for n in range(1_000)]


KEPT = []


def remember(number):
    KEPT.append("x" * 450 + str(number))


def step(number):
    table(min(number, 50))
    remember(number)


if __name__ == "__main__":
    run(step)
