"""Logger names are never forgotten."""

# label: leak
# resource: heap_bytes
# function: step

import logging

from loop import run


def step(number):
    logging.getLogger("request.%d" % number).debug("x")


if __name__ == "__main__":
    run(step)
