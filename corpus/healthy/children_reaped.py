"""A child for every twelfth request, waited for."""

import subprocess

from loop import run


def step(number):
    if number % 12 == 0:
        subprocess.run(["/bin/true"], check=True)


if __name__ == "__main__":
    run(step)
