"""Mapped and never unmapped."""

import mmap

from loop import run

KEPT = []


def step(number):
    area = mmap.mmap(-1, 65_536)
    area.write(b"x" * 65_536)
    KEPT.append(area)


if __name__ == "__main__":
    run(step)
