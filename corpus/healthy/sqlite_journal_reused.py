"""A database whose write-ahead log grows to three hundred pages and is then written anew."""

import random
import sqlite3
import tempfile

from loop import run

DIRECTORY = tempfile.TemporaryDirectory()
BASE = sqlite3.connect(DIRECTORY.name + "/accounts.db", isolation_level=None)
BASE.execute("pragma journal_mode = wal")
BASE.execute("pragma wal_autocheckpoint = 300")
BASE.execute("create table accounts (n integer primary key, body blob)")
SIZES = [min(6_000, int(random.Random(n).lognormvariate(7, 0.7))) for n in range(150)]
PUT = "insert into accounts values (?, ?) on conflict do update set body = excluded.body"


def step(number):
    BASE.execute("begin")
    for _ in range(min(40, int(random.lognormvariate(2, 0.6)) + 1)):
        account = random.randrange(len(SIZES))
        BASE.execute(PUT, (account, random.randbytes(SIZES[account])))
    BASE.execute("commit")


if __name__ == "__main__":
    run(step)
    BASE.close()
