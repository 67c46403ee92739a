"""Three generations of a queue, each larger, all drained; the later ones no larger."""

from loop import run

QUEUE = []
FIRST, SECOND, THIRD = 60, 150, 255


def step(number):
    if number in (FIRST, SECOND) or number % THIRD == 0:
        QUEUE.clear()
    QUEUE.append(str(number) * 200)


if __name__ == "__main__":
    run(step)
