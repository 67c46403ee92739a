"""Metrics about clients: what a label per client costs, and what a callback keeps alive.

One iteration is one client that comes, is measured and goes.
"""

import weakref

from prometheus_client import CollectorRegistry, Gauge

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

ARGUMENTS = case_arguments(__file__)
REGISTRY = CollectorRegistry()


class Client:
    """Stands for an AI client: its cache is its weight."""

    def __init__(self, number):
        self.number = number
        self.cache = bytearray(ARGUMENTS.client_bytes)


LIVE_CLIENTS = weakref.WeakSet()
LABELS = ("client",) if ARGUMENTS.variant in ("label_per_client", "callback") else ()
CACHE_SIZE = Gauge("ai_client_cache_size", "bytes cached", LABELS, registry=REGISTRY)
if ARGUMENTS.variant == "better_fix":
    CACHE_SIZE.set_function(lambda: sum(len(client.cache) for client in LIVE_CLIENTS))


def serve(number):
    client = Client(number)
    if ARGUMENTS.variant == "label_per_client":
        for offset in range(ARGUMENTS.clients):
            label(f"client-{number * ARGUMENTS.clients + offset:08d}", len(client.cache))
    elif ARGUMENTS.variant == "callback":
        register_callback(client)
    elif ARGUMENTS.variant == "better_fix":
        LIVE_CLIENTS.add(client)
    else:
        CACHE_SIZE.set(len(client.cache))


def label(name, cache_bytes):
    CACHE_SIZE.labels(name).set(cache_bytes)


def register_callback(client):
    CACHE_SIZE.labels(str(client.number)).set_function(lambda: len(client.cache))


for iteration in range(ARGUMENTS.iterations):
    serve(iteration)
    gauge("live_clients", len(LIVE_CLIENTS))
    gauge("series", sum(len(metric.samples) for metric in CACHE_SIZE.collect()))
    mark()
