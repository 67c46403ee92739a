"""Jobs that can never succeed go back to the queue, each time with one more error."""

import collections
import json
import random
import traceback

from loop import run

QUEUE = collections.deque()


def submit(number):
    body = json.dumps({"job": number, "rows": [random.random() for _ in range(8)]})
    if random.random() < 0.1:
        body = body[:-3]
    QUEUE.append({"body": body, "errors": []})


def work():
    job = QUEUE.popleft()
    try:
        sum(json.loads(job["body"])["rows"])
    except ValueError:
        job["errors"].append(traceback.format_exc())
        QUEUE.append(job)


def step(number):
    for _ in range(3):
        submit(number)
    for _ in range(min(6, len(QUEUE))):
        work()


if __name__ == "__main__":
    run(step)
