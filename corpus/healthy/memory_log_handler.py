"""A logging handler that flushes at its capacity."""

import logging
import logging.handlers

from loop import run

HANDLER = logging.handlers.MemoryHandler(40, target=logging.NullHandler())
LOG = logging.getLogger("app")
LOG.addHandler(HANDLER)
LOG.propagate = False


def step(number):
    LOG.warning("request %d %s", number, "x" * 300)


if __name__ == "__main__":
    run(step)
