"""Reference data loaded once, half way."""

from loop import run

TABLE = {}


def step(number):
    if number == 150:
        TABLE.update((n, str(n) * 10) for n in range(20_000))
    TABLE.get(number)


if __name__ == "__main__":
    run(step)
