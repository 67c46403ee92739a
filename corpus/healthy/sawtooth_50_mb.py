"""Fills 50 MB and drops it, every 25 iterations."""

from loop import run

BATCH = []


def step(number):
    BATCH.append(bytearray(b"x" * 2_000_000))
    if number % 25 == 24:
        BATCH.clear()


if __name__ == "__main__":
    run(step)
