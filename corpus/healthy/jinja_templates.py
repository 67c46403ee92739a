"""Sixty templates compiled once each."""

import random

import jinja2
from loop import run

ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FunctionLoader(lambda name: "Hello {{ name }} from %s" % name)
)


def step(number):
    ENVIRONMENT.get_template("t%d" % random.randrange(60)).render(name="x")


if __name__ == "__main__":
    run(step)
