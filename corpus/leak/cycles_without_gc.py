"""The collector is off."""

import gc

from loop import run

gc.disable()


def step(number):
    node = {"payload": "x" * 1_500 + str(number)}
    node["self"] = node


if __name__ == "__main__":
    run(step)
