"""A pydantic model per request, kept."""

import pydantic
from loop import run

KEPT = []


def step(number):
    KEPT.append(pydantic.create_model("Model%d" % number, name=(str, ...)))


if __name__ == "__main__":
    run(step, iterations=120)
