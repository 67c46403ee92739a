"""A flight recorder's mapping is written once from start to end, and then over again."""

import mmap
import random
import struct

from loop import run

SIZE = 12 * 1024 * 1024
RING = mmap.mmap(-1, SIZE)
AT = [0]


def write(record):
    if AT[0] + len(record) > SIZE:
        AT[0] = 0
    RING[AT[0] : AT[0] + len(record)] = record
    AT[0] += len(record)


def step(number):
    for _ in range(4):
        body = random.randbytes(min(120_000, int(random.lognormvariate(9.6, 0.8))))
        write(struct.pack(">IQ", len(body), number) + body)


if __name__ == "__main__":
    run(step)
