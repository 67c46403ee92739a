"""Rows inserted and old ones deleted."""

import sqlite3

from loop import run

BASE = sqlite3.connect(":memory:")
BASE.execute("create table t (n integer primary key, body text)")


def step(number):
    BASE.execute("insert into t values (?, ?)", (number, "x" * 2_000))
    BASE.execute("delete from t where n < ?", (number - 80,))
    BASE.commit()


if __name__ == "__main__":
    run(step)
