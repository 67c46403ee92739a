"""Sessions come in bursts and go after sixty idle iterations; some are touched and live longer."""

import random

from loop import run
from sortedcontainers import SortedDict

IDLE = 60
SESSIONS = {}
EXPIRY = SortedDict()


def touch(name, now):
    session = SESSIONS[name]
    EXPIRY.pop((session["expires"], name), None)
    session["expires"] = now + IDLE
    EXPIRY[session["expires"], name] = True


def expire(now):
    while EXPIRY and EXPIRY.peekitem(0)[0][0] <= now:
        (_, name), _ = EXPIRY.popitem(0)
        del SESSIONS[name]


def step(number):
    expire(number)
    for _ in range(min(15, int(random.lognormvariate(0.7, 0.8)))):
        name = "%032x" % random.getrandbits(128)
        basket = ["item %d" % n for n in range(min(80, int(4 * random.paretovariate(1.3))))]
        SESSIONS[name] = {"expires": 0, "basket": basket}
        touch(name, number)
    if SESSIONS:
        touch(random.choice(list(SESSIONS)), number)


if __name__ == "__main__":
    run(step)
