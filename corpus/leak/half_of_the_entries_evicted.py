"""A cache that evicts only every other entry."""

from loop import run

CACHE = {}


def put(number):
    CACHE[number] = "x" * 1_500 + str(number)


def step(number):
    put(number)
    if number % 2 == 0:
        CACHE.pop(number - 20, None)


if __name__ == "__main__":
    run(step)
