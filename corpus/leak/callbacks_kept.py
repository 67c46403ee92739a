"""Closures registered for each request."""

from loop import run

CALLBACKS = []


def handler(number):
    body = ["x" * 900, number]

    def done():
        return body

    return done


def step(number):
    CALLBACKS.append(handler(number))


if __name__ == "__main__":
    run(step)
