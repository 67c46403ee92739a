"""Each report leaves its rows in a temporary table of a connection that lives on."""

import random

import duckdb
from loop import run

BASE = duckdb.connect(config={"threads": 1})
BASE.execute("create table sales as select i, hash(i) as price from range(60000) t(i)")


def report(number, rows):
    name = "report_%d" % number
    BASE.execute(
        "create temporary table %s as select i, hash(price + %d) as p, hash(p) as q, hash(q) as r"
        " from sales limit %d" % (name, number, rows)
    )
    return BASE.execute("select count(*), max(r) from %s" % name).fetchone()


def step(number):
    rows = min(20_000, int(random.lognormvariate(8.3, 0.5)))
    assert report(number, rows)[0] == rows


if __name__ == "__main__":
    run(step)
