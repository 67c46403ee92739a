"""Rows nobody deletes, in native memory."""

import sqlite3

from loop import run

BASE = sqlite3.connect(":memory:")
BASE.execute("create table t (n integer primary key, body text)")


def step(number):
    BASE.execute("insert into t values (?, ?)", (number, "x" * 5_000))
    BASE.commit()


if __name__ == "__main__":
    run(step)
