"""The same allocations shared out to so many threads, a mark after each thousand."""

import sys
import threading

from clock import timed

from leaklab import mark


def work(rounds):
    """Do one thread's share."""
    for _ in range(rounds):
        for place in range(1_000):
            {"place": place, "text": str(place)}
        mark()


with timed():
    COUNT = int(sys.argv[1])
    THREADS = [
        threading.Thread(target=work, args=(int(sys.argv[2]) // COUNT,)) for _ in range(COUNT)
    ]
    for thread in THREADS:
        thread.start()
    for thread in THREADS:
        thread.join()
