"""A class per request."""

from loop import run

KEPT = []


def step(number):
    KEPT.append(type("Model%d" % number, (), {"body": "x" * 200}))


if __name__ == "__main__":
    run(step)
