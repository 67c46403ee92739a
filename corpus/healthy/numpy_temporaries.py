"""Arrays computed and dropped."""

import numpy as np
from loop import run


def step(number):
    a = np.random.default_rng(number).random(40_000)
    (a * 2 + 1).sum()


if __name__ == "__main__":
    run(step)
