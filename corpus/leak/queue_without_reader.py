"""Messages nobody takes."""

import queue

from loop import run

MESSAGES = queue.Queue()


def step(number):
    MESSAGES.put({"number": number, "body": "x" * 500})


if __name__ == "__main__":
    run(step)
