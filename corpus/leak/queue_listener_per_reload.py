"""A reload of the configuration starts a new log listener and does not stop the one before."""

import logging
import logging.handlers
import os
import queue
import random

from loop import run

LOGGER = logging.getLogger("service")
LOGGER.propagate = False
FILE = logging.StreamHandler(open(os.devnull, "w"))
FILE.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))


def configure(level):
    lines = queue.SimpleQueue()
    logging.handlers.QueueListener(lines, FILE).start()
    LOGGER.handlers[:] = [logging.handlers.QueueHandler(lines)]
    LOGGER.setLevel(level)


def step(number):
    if number == 0 or random.random() < 0.35:
        configure(random.choice([logging.INFO, logging.WARNING]))
    for job in range(min(50, int(random.paretovariate(1.1)))):
        LOGGER.info("job %d of request %d took %.3f s", job, number, random.expovariate(1))


if __name__ == "__main__":
    run(step)
