"""The frame of each batch is added to the frame of all batches."""

import random

import pandas as pd
from loop import run

HISTORY = [pd.DataFrame({"batch": [0], "price": [0.0], "amount": [0]})]


def add(batch):
    HISTORY[0] = pd.concat([HISTORY[0], batch], ignore_index=True)


def step(number):
    rows = random.randint(20, 60)
    batch = pd.DataFrame(
        {
            "batch": number,
            "price": [random.lognormvariate(3, 1) for _ in range(rows)],
            "amount": [random.randrange(100) for _ in range(rows)],
        }
    )
    add(batch)
    HISTORY[0]["price"].tail(100).mean()


if __name__ == "__main__":
    run(step)
