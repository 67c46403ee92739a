"""A batch job: frames built, grouped and joined, a mark per batch."""

import sys

import numpy as np
import pandas as pd
from clock import timed

from leaklab import mark


def batch(number):
    """Work on one batch."""
    random = np.random.default_rng(number)
    orders = pd.DataFrame(
        {"customer": random.integers(0, 500, 20_000), "amount": random.random(20_000)}
    )
    totals = orders.groupby("customer")["amount"].agg(["sum", "mean", "count"])
    joined = orders.join(totals, on="customer")
    return float((joined["amount"] / joined["sum"]).max())


def main(iterations):
    """Do the batches."""
    batch(0)
    with timed():
        for number in range(iterations):
            batch(number)
            mark()


main(int(sys.argv[1]))
