"""A timer guards each job, and is cancelled only when the job succeeds."""

import contextlib
import random
import threading

from loop import run

FAILING = [0]


def late():
    raise TimeoutError("job still runs after an hour")


def guarded(job, *arguments):
    watchdog = threading.Timer(3_600, late)
    watchdog.daemon = True
    watchdog.start()
    result = job(*arguments)
    watchdog.cancel()
    watchdog.join()
    return result


def convert(text):
    return sum(int(part) for part in text.split(","))


def step(number):
    if random.random() < 0.06:
        FAILING[0] += random.randint(1, 3)
    cells = [str(random.randrange(1_000)) for _ in range(int(random.lognormvariate(4, 1)) + 1)]
    if FAILING[0]:
        FAILING[0] -= 1
        cells.append("n/a")
    with contextlib.suppress(ValueError):
        guarded(convert, ",".join(cells))


if __name__ == "__main__":
    run(step)
