"""100 bytes a request under 50 MB that come and go."""

from loop import run

BATCH, KEPT = [], []


def remember(number):
    KEPT.append(bytes(67))


def step(number):
    BATCH.append(bytearray(b"x" * 2_000_000))
    if number % 25 == 24:
        BATCH.clear()
    remember(number)


if __name__ == "__main__":
    run(step)
