"""Answers kept by idempotency key, so that a retry gets the same one; time is simulated.

One iteration is a minute: new requests come in, then the background task cleans up.
"""

from collections import OrderedDict

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

STORE = {}  # key: (answer, when it was stored, in minutes)


def build_answer(body_bytes):
    return bytes(body_bytes)


def no_cleanup(now, limits):
    pass


def expire(now, limits):
    """Time to live alone: what it holds is the rate times the time to live."""
    for key in [key for key, (_, stored) in STORE.items() if now - stored > limits.ttl_minutes]:
        del STORE[key]


def expire_and_evict(now, limits):
    """The documented fix: expire, then remove the oldest above a number of entries."""
    expire(now, limits)
    excess = len(STORE) - limits.max_entries
    if excess > 0:
        for key in sorted(STORE, key=lambda key: STORE[key][1])[:excess]:
            del STORE[key]


def expire_and_evict_bytes(now, limits):
    """In order of arrival the oldest is always first; what counts is bytes."""
    while STORE and now - next(iter(STORE.values()))[1] > limits.ttl_minutes:
        STORE.popitem(last=False)
    held_bytes = sum(len(answer) for answer, _ in STORE.values())
    while held_bytes > limits.max_bytes:
        _, (answer, _) = STORE.popitem(last=False)
        held_bytes -= len(answer)


# variant: (cleanup, how many times larger the answers are)
VARIANTS = {
    "before": (no_cleanup, 1),
    "ttl_only": (expire, 1),
    "documented_fix": (expire_and_evict, 1),
    "documented_fix_large": (expire_and_evict, 10),
    "better_fix": (expire_and_evict_bytes, 10),
}


def run(arguments):
    global STORE
    STORE = OrderedDict()
    cleanup, factor = VARIANTS[arguments.variant]
    for minute in range(arguments.iterations):
        for request in range(arguments.requests):
            STORE[f"{minute:06d}-{request:06d}"] = (
                build_answer(arguments.body_bytes * factor),
                minute,
            )
        cleanup(minute, arguments)
        gauge("entry_count", len(STORE))
        gauge("oldest_minutes", minute - next(iter(STORE.values()))[1])
        mark()


if __name__ == "__main__":
    run(case_arguments(__file__))
