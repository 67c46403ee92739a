"""A program that mostly waits, for a given number of seconds: the sampler has it to itself."""

import sys
import time

from clock import timed

with timed():
    END = time.monotonic() + float(sys.argv[1])
    while time.monotonic() < END:
        time.sleep(0.01)
