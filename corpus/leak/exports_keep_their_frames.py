"""An export that may be asked for later is a bound method, and keeps the frame it is bound to."""

import random

import numpy as np
import pandas as pd
from loop import run

EXPORTS = {}


def load(number):
    rows = min(6_000, int(random.lognormvariate(6, 1)) + 5)
    source = np.random.default_rng(random.getrandbits(32))
    return pd.DataFrame({"shop": source.integers(0, 9, rows), "price": source.random(rows)})


def step(number):
    frame = load(number)
    best = int(frame.groupby("shop")["price"].sum().idxmax())
    if best % 3 == 0:
        EXPORTS["batch-%d.csv" % number] = frame.to_csv
    if random.random() < 0.1 and EXPORTS:
        EXPORTS[random.choice(list(EXPORTS))](index=False)


if __name__ == "__main__":
    run(step)
