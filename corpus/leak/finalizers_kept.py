"""Weakref.finalize keeps its arguments while the object lives."""

import weakref

from loop import run


class App:
    pass


APP = App()


def step(number):
    weakref.finalize(APP, len, "x" * 1_000 + str(number))


if __name__ == "__main__":
    run(step)
