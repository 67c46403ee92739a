"""Three worker processes, each replaced after some thirty jobs."""

import random
import subprocess

from loop import run


class Worker:
    def __init__(self):
        self.left = random.randint(20, 40)
        self.process = subprocess.Popen(
            ["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )

    def work(self, job):
        self.left -= 1
        self.process.stdin.write(job + b"\n")
        return self.process.stdout.readline()

    def stop(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


WORKERS = []


def step(number):
    while len(WORKERS) < 3:
        WORKERS.append(Worker())
    for worker in list(WORKERS):
        worker.work(b"job-%d" % number)
        if not worker.left:
            worker.stop()
            WORKERS.remove(worker)


if __name__ == "__main__":
    run(step)
    for worker in WORKERS:
        worker.stop()
