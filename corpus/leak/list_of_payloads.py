"""Every body is kept."""

from loop import run

KEPT = []


def step(number):
    KEPT.append("x" * 1_000 + str(number))


if __name__ == "__main__":
    run(step)
