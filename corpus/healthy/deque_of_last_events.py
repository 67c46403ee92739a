"""The last 150 events are kept."""

from collections import deque

from loop import run

EVENTS = deque(maxlen=150)


def step(number):
    EVENTS.append({"number": number, "text": "e" * 400})


if __name__ == "__main__":
    run(step)
