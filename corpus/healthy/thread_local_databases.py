"""Each worker thread makes its own database and scratch space when a burst first needs it."""

import random
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

from loop import run

WORKERS = 12
POOL = ThreadPoolExecutor(WORKERS)
LOCAL = threading.local()


def database():
    if not hasattr(LOCAL, "cursor"):
        LOCAL.cursor = sqlite3.connect(":memory:").cursor()
        LOCAL.cursor.execute("create table rates (n integer primary key, rate real)")
        rates = [(n, n / 7) for n in range(2_000)]
        LOCAL.cursor.executemany("insert into rates values (?, ?)", rates)
        LOCAL.scratch = bytearray(150_000)
    return LOCAL.cursor


def work(together, n):
    together.wait()
    (rate,) = database().execute("select rate from rates where n = ?", (n,)).fetchone()
    LOCAL.scratch[n] ^= 1
    return rate


def step(number):
    most = min(WORKERS, 2 + number // 12)
    burst = min(most, int(random.paretovariate(1.2)))
    together = threading.Barrier(burst)
    for job in [POOL.submit(work, together, random.randrange(2_000)) for _ in range(burst)]:
        job.result()


if __name__ == "__main__":
    run(step)
