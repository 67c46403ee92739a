"""Exceptions caught and forgotten."""

from loop import run


def fail(depth):
    if depth:
        return fail(depth - 1)
    raise ValueError("x" * 1_000)


def step(number):
    try:
        fail(20)
    except ValueError as error:
        str(error)


if __name__ == "__main__":
    run(step)
