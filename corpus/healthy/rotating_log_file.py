"""A log file rotated at 20 kB."""

import atexit
import logging.handlers
import shutil
import tempfile

from loop import run

FOLDER = tempfile.mkdtemp()
atexit.register(shutil.rmtree, FOLDER)
LOG = logging.getLogger("app")
LOG.addHandler(
    logging.handlers.RotatingFileHandler(FOLDER + "/app.log", maxBytes=20_000, backupCount=2)
)
LOG.propagate = False


def step(number):
    LOG.warning("request %d %s", number, "x" * 400)


if __name__ == "__main__":
    run(step)
