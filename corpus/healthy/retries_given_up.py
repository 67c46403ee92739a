"""Jobs that fail are tried six times, later and later, and then only counted."""

import heapq
import itertools
import json
import random
import traceback

from loop import run

WAITING = []
ORDER = itertools.count()
GIVEN_UP = [0]


def submit(now, number):
    body = json.dumps({"job": number, "rows": [random.random() for _ in range(8)]})
    if random.random() < 0.1:
        body = body[:-3]
    heapq.heappush(WAITING, (now, next(ORDER), {"body": body, "errors": []}))


def work(now):
    job = heapq.heappop(WAITING)[2]
    try:
        sum(json.loads(job["body"])["rows"])
    except ValueError:
        job["errors"].append(traceback.format_exc())
        tries = len(job["errors"])
        if tries == 6:
            GIVEN_UP[0] += 1
        else:
            heapq.heappush(WAITING, (now + 2**tries, next(ORDER), job))


def step(number):
    for _ in range(3):
        submit(number, number)
    while WAITING and WAITING[0][0] <= number:
        work(number)


if __name__ == "__main__":
    run(step)
