"""A buffer flushed every 37 iterations."""

from loop import run

BUFFER = []


def step(number):
    BUFFER.append("line %d" % number * 20)
    if number % 37 == 0:
        BUFFER.clear()


if __name__ == "__main__":
    run(step)
