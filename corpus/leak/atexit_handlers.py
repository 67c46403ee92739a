"""A handler registered for each request."""

import atexit

from loop import run


def step(number):
    body = "x" * 1_500 + str(number)
    atexit.register(len, body)


if __name__ == "__main__":
    run(step)
