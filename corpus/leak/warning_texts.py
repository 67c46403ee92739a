"""The warning registry keeps every different text."""

import sys
import warnings

from loop import run

warnings.simplefilter("default")
sys.stderr = open("/dev/null", "w")


def step(number):
    warnings.warn("request %d is slow %s" % (number, "x" * 300))  # noqa: B028


if __name__ == "__main__":
    run(step)
