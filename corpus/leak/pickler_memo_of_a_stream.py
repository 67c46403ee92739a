"""One pickler writes all events of a journal, and its memo keeps every event."""

import collections
import os
import pickle
import random

from loop import run

JOURNAL = pickle.Pickler(open(os.devnull, "wb"))
RECENT = collections.deque(maxlen=40)


def event(number):
    amounts = random.choices(range(1_000, 9_000), k=min(300, int(random.lognormvariate(3.3, 1))))
    return {"number": number, "host": "host-%d" % random.randrange(20), "amounts": amounts}


def answer(size):
    return {"status": 200, "body": random.randbytes(size).hex()}


def step(number):
    for _ in range(min(8, int(random.paretovariate(1.4)))):
        JOURNAL.dump(event(number))
        RECENT.append(answer(min(20_000, int(300 * random.paretovariate(1.1)))))


if __name__ == "__main__":
    run(step)
