"""Memory the tracer cannot see."""

import ctypes

from loop import run

LIBC = ctypes.CDLL(None)
LIBC.malloc.restype = ctypes.c_void_p


def step(number):
    block = LIBC.malloc(40_000)
    ctypes.memset(block, 1, 40_000)


if __name__ == "__main__":
    run(step)
