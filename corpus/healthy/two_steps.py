"""Two tables loaded, at one third and two thirds."""

from loop import run

TABLES = []


def step(number):
    if number in (100, 200):
        TABLES.append([str(n) * 5 for n in range(15_000)])


if __name__ == "__main__":
    run(step)
