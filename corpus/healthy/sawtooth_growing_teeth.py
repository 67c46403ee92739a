"""Three generations of a queue, each larger, all drained."""

from loop import run

QUEUE = []


def step(number):
    if number in (60, 150, 255):
        QUEUE.clear()
    QUEUE.append(str(number) * 200)


if __name__ == "__main__":
    run(step)
