"""API clients cached per user: for ever, or with a time to live, and then nobody calls."""

import weakref

from cachetools import TTLCache

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

NOW = 0.0  # simulated seconds: an iteration is one second
CLIENTS = {}
ALIVE = weakref.WeakSet()


class Client:
    """Stands for a service object with its buffers."""

    def __init__(self, payload_bytes):
        self.buffers = bytearray(payload_bytes)
        ALIVE.add(self)


def no_tidying():
    pass


def expire():
    """A timer that lets the cache drop what is over; nothing else does while nobody calls."""
    CLIENTS.expire()


def ttl_cache(arguments):
    return TTLCache(arguments.max_clients, ttl=arguments.ttl_seconds, timer=lambda: NOW)


# variant: (the cache, what is done every second, do users go away after half the time?)
VARIANTS = {
    "before": (lambda arguments: {}, no_tidying, False),
    "documented_fix": (ttl_cache, no_tidying, False),
    "documented_fix_idle": (ttl_cache, no_tidying, True),
    "better_fix": (ttl_cache, expire, True),
}


def run(arguments):
    global NOW, CLIENTS
    make_cache, every_second, users_go = VARIANTS[arguments.variant]
    CLIENTS = make_cache(arguments)
    for second in range(arguments.iterations):
        NOW = float(second)
        if not (users_go and second > arguments.iterations // 2):
            CLIENTS[f"user-{second}"] = Client(arguments.payload_bytes)
        every_second()
        gauge("client_count", len(ALIVE))
        mark()


if __name__ == "__main__":
    run(case_arguments(__file__))
