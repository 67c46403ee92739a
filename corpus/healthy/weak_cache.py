"""A cache of weak references."""

import weakref

from loop import run


class Page:
    def __init__(self, number):
        self.body = "x" * 2_000


CACHE = weakref.WeakValueDictionary()
CURRENT = []


def step(number):
    CACHE[number] = page = Page(number)
    CURRENT[:] = [page]


if __name__ == "__main__":
    run(step)
