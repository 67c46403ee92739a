"""Compressor state lives in native memory."""

import zlib

from loop import run

KEPT = []


def step(number):
    compressor = zlib.compressobj()
    compressor.compress(b"x" * 100)
    KEPT.append(compressor)


if __name__ == "__main__":
    run(step, iterations=150)
