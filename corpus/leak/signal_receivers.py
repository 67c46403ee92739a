"""Receivers connected strongly for each request."""

import blinker
from loop import run

CHANGED = blinker.Signal()


class View:
    def __init__(self, number):
        self.body = "x" * 1_200 + str(number)

    def refresh(self, sender):
        return self.body


def step(number):
    CHANGED.connect(View(number).refresh, weak=False)


if __name__ == "__main__":
    run(step)
