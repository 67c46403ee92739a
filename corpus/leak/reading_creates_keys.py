"""A defaultdict asked for unknown clients."""

import collections

from loop import run

ATTEMPTS = collections.defaultdict(list)


def allowed(address):
    return len(ATTEMPTS[address]) < 3


def step(number):
    for n in range(10):
        allowed("10.0.%d.%d" % (number, n))


if __name__ == "__main__":
    run(step)
