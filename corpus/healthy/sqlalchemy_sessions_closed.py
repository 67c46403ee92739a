"""A session for each request, closed."""

import sqlalchemy as sa
from loop import run
from sqlalchemy.orm import Session

ENGINE = sa.create_engine("sqlite://")


def step(number):
    with Session(ENGINE) as session:
        session.execute(sa.text("select :n"), {"n": number}).scalar()


if __name__ == "__main__":
    run(step)
