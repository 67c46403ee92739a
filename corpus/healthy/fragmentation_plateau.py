"""A large set freed but for one object in a hundred."""

from loop import run

KEPT = []


def step(number):
    if number == 20:
        blocks = [(n, n + 1.5) for n in range(120_000)]
        KEPT.extend(blocks[::100])
    sum(range(1_000))


if __name__ == "__main__":
    run(step)
