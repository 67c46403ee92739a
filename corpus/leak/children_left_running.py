"""Every fifth request starts a child and forgets it."""

import atexit
import subprocess

from loop import run

KEPT = []


@atexit.register
def stop():
    for child in KEPT:
        child.kill()
        child.wait()


def step(number):
    if number % 5 == 0:
        KEPT.append(subprocess.Popen(["/bin/sleep", "60"]))


if __name__ == "__main__":
    run(step, iterations=150)
