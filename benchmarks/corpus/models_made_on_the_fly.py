"""A pydantic model per request, kept."""

# label: leak
# resource: heap_bytes
# function: step
# needs: pydantic

import pydantic
from loop import run

KEPT = []


def step(number):
    KEPT.append(pydantic.create_model("Model%d" % number, name=(str, ...)))


if __name__ == "__main__":
    run(step, iterations=120)
