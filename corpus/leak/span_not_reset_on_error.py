"""A failed request leaves its tracing span current, and the next one becomes its child."""

import contextvars
import random

from loop import run

CURRENT = contextvars.ContextVar("span", default=None)


class Span:
    def __init__(self, name, parent, attributes):
        self.name = name
        self.parent = parent
        self.attributes = attributes


def start(name):
    identity = "%032x" % random.getrandbits(128)
    headers = ["x-header-%d: %s" % (n, identity) for n in range(12)]
    return CURRENT.set(Span(name, CURRENT.get(), {"trace": identity, "headers": headers}))


def handle(number):
    token = start("request %d" % number)
    if random.random() < 0.2:
        raise ValueError("no such item")
    CURRENT.reset(token)


def step(number):
    for _ in range(2):
        try:
            handle(number)
        except ValueError:
            continue


if __name__ == "__main__":
    run(step)
