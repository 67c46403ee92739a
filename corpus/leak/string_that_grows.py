"""A log kept as one string."""

from loop import run

LOG = [""]


def step(number):
    LOG[0] += "request %d\n" % number * 20


if __name__ == "__main__":
    run(step)
