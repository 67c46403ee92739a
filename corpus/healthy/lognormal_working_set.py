"""Each request keeps a log-normal amount until the next."""

import random

from loop import run

SESSION = {}


def step(number):
    SESSION["body"] = bytes(int(random.lognormvariate(10, 1.0)))


if __name__ == "__main__":
    run(step)
