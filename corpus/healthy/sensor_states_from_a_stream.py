"""Telegrams are unpacked from a stream that is cut anywhere; the last of each sensor stays."""

import random

import msgpack
from loop import run

PACKER = msgpack.Packer()
UNPACKER = msgpack.Unpacker(read_size=16_384)
STREAM = bytearray()
STATES = {}


def telegram():
    count = min(1_200, int(random.lognormvariate(5, 0.9)))
    return {"sensor": random.randrange(20), "samples": random.choices(range(70_000), k=count)}


def receive(part):
    UNPACKER.feed(part)
    for message in UNPACKER:
        STATES[message["sensor"]] = message["samples"]


def step(number):
    for _ in range(min(20, 2 + int(random.paretovariate(1.2)))):
        STREAM.extend(PACKER.pack(telegram()))
    cut = random.randrange(len(STREAM))
    receive(STREAM[:cut])
    del STREAM[:cut]


if __name__ == "__main__":
    run(step)
