"""Every new tenant gets a thread pool of its own, and no tenant is ever forgotten."""

import concurrent.futures
import random

from loop import run

POOLS = {}


def submit(tenant, job):
    if tenant not in POOLS:
        POOLS[tenant] = concurrent.futures.ThreadPoolExecutor(max_workers=1)
    return POOLS[tenant].submit(job)


def step(number):
    tenant = number if random.random() < 0.5 else random.choice([0, *POOLS])
    submit(tenant, lambda: sum(range(200))).result()


if __name__ == "__main__":
    run(step)
