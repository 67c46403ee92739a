"""Encodes and decodes, keeps nothing."""

import json
import random

from loop import run


def step(number):
    body = json.dumps({"id": number, "values": [random.random() for _ in range(200)]})
    json.loads(body)


if __name__ == "__main__":
    run(step)
