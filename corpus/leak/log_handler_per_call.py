"""Each job adds a handler of its own to the same logger."""

import logging
import os

from loop import run

STREAM = open(os.devnull, "w")


def configure(job):
    logger = logging.getLogger("jobs")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    handler = logging.StreamHandler(STREAM)
    handler.setFormatter(logging.Formatter("%(asctime)s " + job + " %(levelname)s %(message)s"))
    logger.addHandler(handler)
    return logger


def step(number):
    configure("job-%06d" % number).info("done")


if __name__ == "__main__":
    run(step)
