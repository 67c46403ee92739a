"""Futures are kept so that the shutdown can wait for them, and with them their results."""

import concurrent.futures
import random
import urllib.parse

from loop import run

POOL = concurrent.futures.ThreadPoolExecutor(3)
PENDING = []


def convert(body):
    return urllib.parse.unquote(body).upper().split()


def submit(body):
    future = POOL.submit(convert, body)
    PENDING.append(future)
    return future


def step(number):
    burst = []
    for _ in range(min(10, int(random.paretovariate(1.3)))):
        words = random.choices(["caf%C3%A9", "m%C3%BCsli", "tea"], k=random.randint(50, 400))
        burst.append(submit("%20".join(words)))
    assert len(concurrent.futures.wait(burst).done) == len(burst)


if __name__ == "__main__":
    run(step)
    concurrent.futures.wait(PENDING)
