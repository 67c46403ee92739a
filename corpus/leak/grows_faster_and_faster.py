"""Each request keeps one more item than the last."""

from loop import run

KEPT = []


def step(number):
    KEPT.append([str(n) + "x" for n in range(number)])


if __name__ == "__main__":
    run(step)
