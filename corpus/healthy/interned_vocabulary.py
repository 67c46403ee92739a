"""500 names interned again and again."""

import random
import sys

from loop import run

NAMES = {}


def step(number):
    for _ in range(20):
        name = sys.intern("field-%d" % random.randrange(300))
        NAMES[name] = NAMES.get(name, 0) + 1


if __name__ == "__main__":
    run(step)
