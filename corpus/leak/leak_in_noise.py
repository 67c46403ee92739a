"""A leak in the function whose working set wanders."""

import random

from loop import run

USERS, KEPT = {}, []


def serve(number):
    while len(USERS) < 150:
        USERS[random.random()] = "x" * 900
    for _ in range(random.randrange(1, 30)):
        USERS.popitem()
    KEPT.append("y" * 400 + str(number))


def step(number):
    serve(number)


if __name__ == "__main__":
    run(step)
