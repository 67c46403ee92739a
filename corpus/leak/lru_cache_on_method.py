"""An unbounded lru_cache keeps every instance."""

import functools

from loop import run


class Service:
    def __init__(self, number):
        self.body = "x" * 3_000 + str(number)

    @functools.lru_cache(maxsize=None)  # noqa: B019
    def size(self):
        return len(self.body)


def step(number):
    Service(number).size()


if __name__ == "__main__":
    run(step)
