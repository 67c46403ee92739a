"""Frames are unmapped by the length of what they were packed to, and the rest stays mapped."""

import ctypes
import mmap
import random

from loop import run

LIBC = ctypes.CDLL(None)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
ACCESS = mmap.PROT_READ | mmap.PROT_WRITE
FLAGS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS


def encode(width, height):
    length = 4 * width * height
    frame = LIBC.mmap(None, length, ACCESS, FLAGS, -1, 0)
    ctypes.memset(frame, 127, length)
    length = int(length * random.betavariate(4, 3))
    packed = ctypes.string_at(frame, length)
    LIBC.munmap(frame, length)
    return packed


def step(number):
    height = min(400, int(random.lognormvariate(4.3, 0.5)))
    encode(4 * height // 3, height)


if __name__ == "__main__":
    run(step)
