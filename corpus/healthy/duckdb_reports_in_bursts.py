"""Reports of a column store, some of them large; its allocator keeps what the large ones took."""

import random

import duckdb
from loop import run

BASE = duckdb.connect(config={"threads": 1, "memory_limit": "256MB"})
BASE.execute("create table sales as select i, i * 7 % 90 as shop from range(40000) t(i)")
REPORT = "select shop, count(*), list(i order by i desc) from sales where i < ? group by shop"


def step(number):
    rows = min(30_000, int(400 * random.paretovariate(0.7)))
    shops = BASE.execute(REPORT, [rows]).fetchall()
    sum(count for _, count, _ in shops)


if __name__ == "__main__":
    run(step)
