"""One TLS context made after a third of the run."""

import ssl

from loop import run

CONTEXT = []


def step(number):
    if number == 100:
        CONTEXT.append(ssl.create_default_context())
    sum(range(500))


if __name__ == "__main__":
    run(step)
