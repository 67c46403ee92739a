"""Cycles that the collector frees."""

from loop import run


def step(number):
    for _ in range(50):
        node = {"payload": "x" * 100}
        node["self"] = node


if __name__ == "__main__":
    run(step)
