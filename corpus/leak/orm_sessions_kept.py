"""Sessions kept with their connections and objects."""

import sqlalchemy as sa
from loop import run
from sqlalchemy.orm import Session

ENGINE = sa.create_engine("sqlite://")
KEPT = []


def step(number):
    session = Session(ENGINE)
    session.execute(sa.text("select :n"), {"n": number}).all()
    KEPT.append(session)


if __name__ == "__main__":
    run(step)
