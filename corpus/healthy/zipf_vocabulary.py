"""Words of a closed vocabulary, the rare ones seen late, each with statistics of fixed size."""

import itertools
import random

from loop import run

WORDS = 300
WEIGHTS = list(itertools.accumulate(1 / rank for rank in range(1, WORDS + 1)))
STATISTICS = {}


class Statistics:
    def __init__(self, word):
        self.name = "word %d" % word
        self.count = 0
        self.neighbours = [0] * 64


def step(number):
    before = 0
    for word in random.choices(range(WORDS), cum_weights=WEIGHTS, k=130):
        if word not in STATISTICS:
            STATISTICS[word] = Statistics(word)
        entry = STATISTICS[word]
        entry.count += 1
        entry.neighbours[before % 64] += 1
        before = word


if __name__ == "__main__":
    run(step)
