"""A thread per request waits on an event nobody sets."""

import threading

from loop import run

NEVER = threading.Event()


def step(number):
    threading.Thread(target=NEVER.wait, daemon=True).start()


if __name__ == "__main__":
    run(step, iterations=120)
