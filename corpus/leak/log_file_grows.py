"""A log file that nobody rotates."""

import atexit
import os

from loop import run

PATH = os.environ.get("CORPUS_FILE", "corpus.log")
OUT = open(PATH, "w")


@atexit.register
def remove():
    OUT.close()
    os.remove(PATH)


def step(number):
    OUT.write("request %d %s\n" % (number, "x" * 150))
    OUT.flush()


if __name__ == "__main__":
    run(step)
