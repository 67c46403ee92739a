"""Each request listens to the statements of the shared engine."""

import sqlalchemy as sa
from loop import run

ENGINE = sa.create_engine("sqlite://")


def watch(number):
    seen = {"request": number, "statement": None}

    def before(connection, cursor, statement, parameters, context, executemany):
        seen["statement"] = statement

    sa.event.listen(ENGINE, "before_cursor_execute", before)
    return seen


def step(number):
    seen = watch(number)
    with ENGINE.connect() as connection:
        connection.execute(sa.text("select :n"), {"n": number}).scalar()
    assert seen["statement"]


if __name__ == "__main__":
    run(step)
