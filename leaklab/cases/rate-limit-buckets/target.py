"""Rate limiting with a bucket for each client address; time is simulated.

One iteration is a minute: new clients come by once each, then the background task cleans up.
"""

from collections import OrderedDict

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

BUCKETS = {}


def take_token(client, now, limits):
    bucket = BUCKETS.setdefault(client, {"tokens": 60.0, "last_access": now})
    bucket["tokens"] -= 1
    bucket["last_access"] = now


def take_token_capped(client, now, limits):
    """The limit holds at every insert: the bucket unused for longest goes."""
    take_token(client, now, limits)
    BUCKETS.move_to_end(client)
    while len(BUCKETS) > limits.max_buckets:
        BUCKETS.popitem(last=False)


def no_cleanup(now, limits):
    pass


def expire(now, limits):
    inactive = [
        client
        for client, bucket in BUCKETS.items()
        if now - bucket["last_access"] > limits.ttl_minutes
    ]
    for client in inactive:
        del BUCKETS[client]


def expire_when_over_limit(now, limits):
    """The archived version looks at all only once there are too many."""
    if len(BUCKETS) > limits.max_buckets:
        expire(now, limits)


def expire_and_evict(now, limits):
    """The documented fix: expire at every run, then remove the oldest above the limit."""
    expire(now, limits)
    excess = len(BUCKETS) - limits.max_buckets
    if excess > 0:
        for client in sorted(BUCKETS, key=lambda key: BUCKETS[key]["last_access"])[:excess]:
            del BUCKETS[client]


# variant: (what a request does, what the background task does, one in how many clients comes)
VARIANTS = {
    "before": (take_token, no_cleanup, 1),
    "archived": (take_token, expire_when_over_limit, 1),
    "archived_low_rate": (take_token, expire_when_over_limit, 20),
    "documented_fix": (take_token, expire_and_evict, 1),
    "documented_fix_low_rate": (take_token, expire_and_evict, 20),
    "better_fix": (take_token_capped, expire, 1),
}


def run(arguments):
    global BUCKETS
    BUCKETS = OrderedDict()
    request, cleanup, divisor = VARIANTS[arguments.variant]
    for minute in range(arguments.iterations):
        for number in range(arguments.clients // divisor):
            request(f"10.{minute}.{number}", minute, arguments)
        gauge("peak_bucket_count", len(BUCKETS))
        cleanup(minute, arguments)
        gauge("bucket_count", len(BUCKETS))
        mark()


if __name__ == "__main__":
    run(case_arguments(__file__))
