"""Cancelled events stay in the queue until their time."""

import heapq

from loop import run

QUEUE = []


def schedule(number):
    heapq.heappush(QUEUE, [number + 1e9, None, "x" * 600 + str(number)])
    return QUEUE[-1]


def step(number):
    schedule(number)[1] = "cancelled"


if __name__ == "__main__":
    run(step)
