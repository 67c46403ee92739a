"""The number of active users wanders around 200."""

import random

from loop import run

USERS = {}
LEVEL = [0.0]


def step(number):
    LEVEL[0] = 0.9 * LEVEL[0] + random.gauss(0, 12)
    wanted = max(20, int(200 + LEVEL[0]))
    while len(USERS) < wanted:
        USERS[random.random()] = "x" * 900
    while len(USERS) > wanted:
        USERS.popitem()


if __name__ == "__main__":
    run(step)
