"""A frame of the last eighty batches, put together anew for each batch."""

import collections
import random

import pandas as pd
from loop import run

BATCHES = collections.deque(maxlen=80)
LATEST = {}


def step(number):
    rows = random.randint(20, 60)
    batch = pd.DataFrame(
        {
            "batch": number,
            "price": [random.lognormvariate(3, 1) for _ in range(rows)],
            "amount": [random.randrange(100) for _ in range(rows)],
        }
    )
    BATCHES.append(batch)
    LATEST["frame"] = pd.concat(BATCHES, ignore_index=True)
    LATEST["mean"] = LATEST["frame"]["price"].mean()


if __name__ == "__main__":
    run(step)
