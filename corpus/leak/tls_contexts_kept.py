"""One TLS context per client."""

import ssl

from loop import run

KEPT = []


def connect():
    KEPT.append(ssl.create_default_context())


def step(number):
    connect()


if __name__ == "__main__":
    run(step, iterations=60)
