"""The collector is off while requests are served and is run by hand after every 45."""

import gc
import random

from loop import run

gc.disable()


class Order:
    def __init__(self, number):
        self.number = number
        count = min(400, int(12 * random.paretovariate(1.2)))
        self.lines = [Line(self, n) for n in range(count)]


class Line:
    def __init__(self, order, number):
        self.order = order
        self.text = "line %d of order %d" % (number, order.number)


def step(number):
    burst = 5 if random.random() < 0.08 else 1
    for _ in range(burst):
        Order(number)
    if number % 45 == 44:
        gc.collect()


if __name__ == "__main__":
    run(step)
