"""One time series per client."""

import prometheus_client
from loop import run

REGISTRY = prometheus_client.CollectorRegistry()
REQUESTS = prometheus_client.Counter("requests", "requests", ["client"], registry=REGISTRY)


def step(number):
    REQUESTS.labels("client-%d" % number).inc()


if __name__ == "__main__":
    run(step)
