"""A burst of jobs starts as many workers as it needs; a worker idle for twelve rounds leaves."""

import queue
import random
import threading
import zlib

from loop import run

WORKERS = []
DONE = queue.SimpleQueue()


class Worker(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.jobs = queue.SimpleQueue()
        self.idle = 0
        self.start()

    def run(self):
        buffer = bytearray(60_000)
        while (body := self.jobs.get()) is not None:
            packed = zlib.compress(body, 1)
            buffer[: len(packed)] = packed
            DONE.put(len(packed))


def step(number):
    burst = min(20, int(random.paretovariate(0.9)))
    while len(WORKERS) < burst:
        WORKERS.append(Worker())
    for worker in WORKERS[:burst]:
        worker.idle = 0
        worker.jobs.put(random.randbytes(min(50_000, int(random.lognormvariate(7, 1)))))
    for _ in range(burst):
        DONE.get()
    for worker in WORKERS[burst:]:
        worker.idle += 1
        if worker.idle > 12:
            worker.jobs.put(None)
            worker.join()
            WORKERS.remove(worker)


if __name__ == "__main__":
    run(step)
