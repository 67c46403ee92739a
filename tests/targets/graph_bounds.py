"""Containers that hold so many at most, of every kind; writes their graph and prints its walker."""

import asyncio
import functools
import json
import queue
import sys
from collections import OrderedDict, deque

sys.path.insert(0, sys.argv[1])

from leaklab.probe.graph import dump_by_fork, prepare


class Trimmed:
    """Drops its oldest entry where it is full."""

    def __init__(self, capacity):
        self.capacity = capacity
        self.entries = OrderedDict()

    def put(self, key):
        self.entries[key] = str(key)
        while len(self.entries) > self.capacity:
            self.entries.popitem(last=False)


class OfClass:
    """The bound is the class's."""

    MAX_ENTRIES = 50

    def __init__(self):
        self.rows = []


class Bounded(OrderedDict):
    """The container has the bound itself."""


class Outgrown:
    """What is longer than a bound is not held to it."""

    def __init__(self):
        self.max_size = 5
        self.rows = list(range(100))


@functools.lru_cache(maxsize=64)
def cached(number):
    return str(number) * 10


@functools.lru_cache(maxsize=None)
def unbounded(number):
    return str(number) * 10


recent = deque(maxlen=100)
endless = deque()
jobs = queue.Queue(maxsize=20)
events = asyncio.Queue(maxsize=30) if sys.version_info >= (3, 10) else None
trimmed = Trimmed(40)
of_class = OfClass()
bounded = Bounded()
bounded.maxsize = 60
outgrown = Outgrown()

for number in range(10):
    cached(number)
    unbounded(number)
    recent.append(number)
    endless.append(number)
    jobs.put(number)
    if events is not None:
        events.put_nowait(number)
    trimmed.put(number)
    of_class.rows.append(number)
    bounded[number] = number

try:
    import cachetools
    import celery.utils.collections
    import urllib3
    from sqlalchemy import create_engine
except ImportError:
    pass
else:
    ttl = cachetools.TTLCache(maxsize=70, ttl=600)
    seen = celery.utils.collections.LimitedSet(maxlen=80)
    for number in range(10):
        ttl[number] = number
        seen.add(number)
    http = urllib3.HTTPConnectionPool("127.0.0.1", maxsize=4)
    engine = create_engine("sqlite://", poolclass=None)

prepare()
print(json.dumps(dump_by_fork(sys.argv[2], limit_seconds=20)))
