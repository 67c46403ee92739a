"""As many jobs pushed as popped."""

import heapq
import random

from loop import run

JOBS = [(random.random(), "y" * random.randrange(100, 900)) for _ in range(200)]
heapq.heapify(JOBS)


def step(number):
    heapq.heappush(JOBS, (random.random() + number / 100, "y" * random.randrange(100, 900)))
    heapq.heappop(JOBS)


if __name__ == "__main__":
    run(step)
