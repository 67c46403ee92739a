"""Views listen to a model weakly from a third of the run on; dead references are not removed."""

import collections
import random
import weakref

from loop import run

LISTENERS = []
OPEN = collections.deque(maxlen=25)


class View:
    def __init__(self, number):
        self.cells = list(range(min(2_000, int(random.lognormvariate(4, 1)))))
        self.number = number

    def changed(self, number):
        self.number = number


def subscribe(view):
    LISTENERS.append(weakref.WeakMethod(view.changed))


def notify(number):
    for listener in LISTENERS:
        method = listener()
        if method is not None:
            method(number)


def step(number):
    for _ in range(random.choice([1, 1, 1, 2, 5])):
        view = View(number)
        OPEN.append(view)
        if number >= 100:
            subscribe(view)
    notify(number)


if __name__ == "__main__":
    run(step)
