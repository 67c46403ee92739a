"""A pool that opens up to 12 connections."""

import random
import sqlite3

from loop import run

POOL = []


def step(number):
    if len(POOL) < 12 and random.random() < 0.1:
        POOL.append(sqlite3.connect(":memory:").cursor())
    if POOL:
        random.choice(POOL).execute("select 1").fetchall()


if __name__ == "__main__":
    run(step)
