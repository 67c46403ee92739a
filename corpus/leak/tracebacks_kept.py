"""Exceptions kept with their frames."""

from loop import run

ERRORS = []


def fail(number):
    body = "x" * 4_000 + str(number)
    raise ValueError(len(body))


def step(number):
    try:
        fail(number)
    except ValueError as error:
        ERRORS.append(error)


if __name__ == "__main__":
    run(step)
