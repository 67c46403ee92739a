"""Generators started and never finished."""

from loop import run

KEPT = []


def rows(number):
    page = "x" * 1_000 + str(number)
    yield page
    yield page


def step(number):
    generator = rows(number)
    next(generator)
    KEPT.append(generator)


if __name__ == "__main__":
    run(step)
