"""Queries of ever other columns, of which the engine keeps some compiled."""

import random

import sqlalchemy as sa
from loop import run

ENGINE = sa.create_engine("sqlite://", query_cache_size=40)
METADATA = sa.MetaData()
TABLE = sa.Table("item", METADATA, *(sa.Column("c%d" % n, sa.Integer) for n in range(12)))
METADATA.create_all(ENGINE)


def query():
    columns = random.sample(list(TABLE.columns), random.randint(1, 6))
    return sa.select(*columns).where(columns[0] > random.randrange(100)).limit(10)


def step(number):
    with ENGINE.begin() as connection:
        for _ in range(2):
            connection.execute(query()).all()


if __name__ == "__main__":
    run(step)
