"""A counter with nine label values."""

import prometheus_client
from loop import run

REGISTRY = prometheus_client.CollectorRegistry()
REQUESTS = prometheus_client.Counter("requests", "requests", ["path"], registry=REGISTRY)


def step(number):
    REQUESTS.labels("/page/%d" % (number % 9)).inc()


if __name__ == "__main__":
    run(step)
