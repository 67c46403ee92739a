"""A thread for each request, joined."""

import threading

from loop import run


def step(number):
    thread = threading.Thread(target=sum, args=(range(1_000),))
    thread.start()
    thread.join()


if __name__ == "__main__":
    run(step)
