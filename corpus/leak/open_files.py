"""Files never closed."""

from loop import run

KEPT = []


def step(number):
    KEPT.append(open("/dev/null"))


if __name__ == "__main__":
    run(step)
