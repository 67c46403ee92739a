"""Every number seen is kept."""

from loop import run

SEEN = set()


def step(number):
    for n in range(20):
        SEEN.add(number * 20 + n + 1_000)


if __name__ == "__main__":
    run(step)
