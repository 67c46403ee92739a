"""A dict of strings the collector does not even track."""

from loop import run

CACHE = {}


def step(number):
    CACHE["user-%d" % number] = "token-%d" % number * 20


if __name__ == "__main__":
    run(step)
