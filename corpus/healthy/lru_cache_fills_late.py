"""An lru_cache that is full after 60 % of the run."""

import functools

from loop import run


@functools.lru_cache(maxsize=180)
def page(number):
    return bytes(2_000) + str(number).encode()


def step(number):
    page(number)


if __name__ == "__main__":
    run(step)
