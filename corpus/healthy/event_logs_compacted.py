"""Events are added to the logs of forty accounts; a log of twenty-four becomes a snapshot."""

import json
import random

from loop import run

LOGS = {}


def compact(log):
    balance = sum(json.loads(event)["amount"] for event in log)
    return [json.dumps({"amount": balance, "memo": "snapshot"})]


def add(account, amount):
    memo = "m" * min(3_000, int(random.lognormvariate(4, 1.2)))
    log = LOGS.setdefault(account, [])
    log.append(json.dumps({"amount": amount, "memo": memo}))
    if len(log) >= 24:
        LOGS[account] = compact(log)


def step(number):
    for _ in range(min(60, 6 + int(4 * random.paretovariate(1.3)))):
        add(random.randrange(40), random.randint(-50, 50))


if __name__ == "__main__":
    run(step)
