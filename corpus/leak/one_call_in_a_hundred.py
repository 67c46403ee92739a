"""Only every hundredth request is kept."""

from loop import run

KEPT = []


def keep(number):
    KEPT.append("x" * 3_000 + str(number))


def step(number):
    if number % 100 == 50:
        keep(number)


if __name__ == "__main__":
    run(step, iterations=1200)
