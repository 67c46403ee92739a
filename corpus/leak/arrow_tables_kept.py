"""Query results stay under the time of their query, in memory of the columnar library."""

import random
import time

import pyarrow as pa
import pyarrow.compute as pc
from loop import run

VALUES = pa.array([random.random() for _ in range(20_000)])
RESULTS = {}


def step(number):
    first = random.randrange(10_000)
    part = VALUES.slice(first, random.randint(4_000, 8_000))
    RESULTS[time.monotonic_ns()] = pa.table({"value": pc.multiply(part, number + 1.0)})


if __name__ == "__main__":
    run(step)
