"""A bare descriptor lost on every tenth request."""

import os

from loop import run


def step(number):
    descriptor = os.open("/dev/null", os.O_RDONLY)
    if number % 10:
        os.close(descriptor)


if __name__ == "__main__":
    run(step)
