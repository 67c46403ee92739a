"""Keep so many small blocks alive, then go on with a little work and a mark each: a large heap."""

import sys

from clock import timed

from leaklab import mark

KEPT = [None] * int(sys.argv[1])
for number in range(len(KEPT)):
    KEPT[number] = bytes(40)

with timed():
    for _ in range(int(sys.argv[2])):
        total = sum(len(bytes(40)) for _ in range(100_000))
        mark()
