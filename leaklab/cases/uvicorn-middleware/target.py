"""A FastAPI application on uvicorn with rate limiting middleware, under load from a second process.

One iteration is a batch of requests, each from a new address, and a simulated second: however fast
the machine is, as many clients come within a bucket's time to live.
"""

import asyncio
import subprocess
import sys

import uvicorn
from fastapi import FastAPI, Request

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

BUCKETS = {}
LOAD = """
import http.client, sys
port, total = map(int, sys.argv[1:])
connection = http.client.HTTPConnection("127.0.0.1", port)
for number in range(total):
    address = f"10.0.{number // 256}.{number % 256}"
    connection.request("GET", "/", headers={"X-Forwarded-For": address})
    connection.getresponse().read()
"""


class Clock:
    """Simulated seconds."""

    def __init__(self):
        self.seconds = 0
        self.passed = asyncio.Event()

    def advance(self):
        self.seconds += 1
        self.passed.set()
        self.passed = asyncio.Event()

    async def sleep(self, seconds):
        end = self.seconds + seconds
        while self.seconds < end:
            await self.passed.wait()


async def no_cleanup(arguments, clock):
    pass


async def cleanup(arguments, clock):
    """The documented fix, started and cancelled with the application."""
    while True:
        await clock.sleep(arguments.cleanup_seconds)
        for client in [
            client
            for client, bucket in BUCKETS.items()
            if clock.seconds - bucket["last_access"] > arguments.ttl_seconds
        ]:
            del BUCKETS[client]
        for client in sorted(BUCKETS, key=lambda key: BUCKETS[key]["last_access"])[
            : -arguments.max_buckets
        ]:
            del BUCKETS[client]


VARIANTS = {"before": no_cleanup, "documented_fix": cleanup}


def build_app(arguments, clock, finished):
    app = FastAPI()
    served = 0

    @app.middleware("http")
    async def limit_rate(request: Request, call_next):
        nonlocal served
        client = request.headers["x-forwarded-for"]
        BUCKETS[client] = {"tokens": 59.0, "last_access": clock.seconds}
        response = await call_next(request)
        served += 1
        if served % arguments.requests == 0:
            gauge("bucket_count", len(BUCKETS))
            mark()
            clock.advance()
        if served == arguments.iterations * arguments.requests:
            finished.set()
        return response

    @app.get("/")
    async def hello():
        return {"hello": "world"}

    return app


async def run(arguments):
    clock, finished = Clock(), asyncio.Event()
    # Without proxy_headers: uvicorn keeps the last 4,096 addresses in a cache of its own.
    config = uvicorn.Config(
        build_app(arguments, clock, finished), port=0, log_level="error", proxy_headers=False
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    total = arguments.iterations * arguments.requests
    task = asyncio.create_task(VARIANTS[arguments.variant](arguments, clock))
    with subprocess.Popen([sys.executable, "-I", "-c", LOAD, str(port), str(total)]) as load:
        await asyncio.wait_for(finished.wait(), timeout=300)
        await asyncio.to_thread(load.wait)
    task.cancel()
    server.should_exit = True
    await serving


if __name__ == "__main__":
    asyncio.run(run(case_arguments(__file__)))
