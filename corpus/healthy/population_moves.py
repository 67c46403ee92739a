"""Objects of one line replaced by those of another."""

from loop import run

ITEMS = []


def old(number):
    return "o" * 2_000 + str(number)


def new(number):
    return "n" * 2_000 + str(number)


ITEMS.extend(old(n) for n in range(400))


def step(number):
    ITEMS.append(new(number))
    ITEMS.pop(0)


if __name__ == "__main__":
    run(step)
