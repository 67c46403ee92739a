"""A contextvar's value lives in every kept context."""

import contextvars

from loop import run

USER = contextvars.ContextVar("user")
KEPT = []


def enter(number):
    USER.set("u" * 2_000 + str(number))
    KEPT.append(contextvars.copy_context())


def step(number):
    contextvars.copy_context().run(enter, number)


if __name__ == "__main__":
    run(step)
