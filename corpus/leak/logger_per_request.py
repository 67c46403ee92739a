"""Logger names are never forgotten."""

import logging

from loop import run


def step(number):
    logging.getLogger("request.%d" % number).debug("x")


if __name__ == "__main__":
    run(step)
