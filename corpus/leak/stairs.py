"""A batch of 30 kept every 30 iterations."""

from loop import run

KEPT = []


def flush(number):
    KEPT.append([str(number + n) * 40 for n in range(30)])


def step(number):
    if number % 30 == 29:
        flush(number)


if __name__ == "__main__":
    run(step)
