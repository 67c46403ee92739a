"""Results of eighty queries, of which half a megabyte is in memory and the rest in files."""

import random
import tempfile

import zict
from loop import run

DIRECTORY = tempfile.TemporaryDirectory()
RESULTS = zict.Buffer(
    fast={},
    slow=zict.Func(bytes, bytes, zict.File(DIRECTORY.name)),
    n=500_000,
    weight=lambda query, result: len(result),
)


def compute(query):
    return random.randbytes(min(120_000, int(1_500 * random.paretovariate(0.8))))


def step(number):
    for _ in range(3):
        query = "query-%d" % random.randrange(80)
        if query not in RESULTS or random.random() < 0.15:
            RESULTS[query] = compute(query)
        assert RESULTS[query]


if __name__ == "__main__":
    run(step)
