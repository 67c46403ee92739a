"""More patterns than re keeps."""

import re

from loop import run


def step(number):
    for n in range(8):
        re.compile(r"user-%d-(\d+)" % (number * 8 + n))


if __name__ == "__main__":
    run(step)
