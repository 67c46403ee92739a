"""A sample of 80 documents out of all seen."""

import random

from loop import run

SAMPLE = []


def step(number):
    document = {"id": number, "text": "t" * random.randrange(100, 2_000)}
    if len(SAMPLE) < 80:
        SAMPLE.append(document)
    elif random.random() < 80 / (number + 1):
        SAMPLE[random.randrange(80)] = document


if __name__ == "__main__":
    run(step)
