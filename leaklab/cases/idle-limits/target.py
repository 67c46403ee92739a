"""One client, bursts of parallel requests: how many idle connections its limit keeps."""

import asyncio
import subprocess
import sys
from pathlib import Path

import httpx

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

LOOPBACK = Path(__file__).parents[1] / "loopback.py"

VARIANTS = {"before": 10, "documented_fix": 5}  # idle connections that are kept


def open_sockets():
    # A thread of somebody else's may have a file open just now; connections are sockets.
    return sum(link.is_socket() for link in Path("/proc/self/fd").iterdir())


async def run(arguments, url):
    limits = httpx.Limits(max_keepalive_connections=VARIANTS[arguments.variant])
    async with httpx.AsyncClient(limits=limits) as client:
        before = open_sockets()
        for _ in range(arguments.iterations):
            await asyncio.gather(*(client.get(f"{url}/slow/0.01") for _ in range(arguments.burst)))
            await asyncio.sleep(0)
            gauge("kept_connection_count", open_sockets() - before)
            mark()


if __name__ == "__main__":
    arguments = case_arguments(__file__)
    server = subprocess.Popen(
        [sys.executable, "-I", LOOPBACK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with server:
        asyncio.run(run(arguments, server.stdout.readline().strip()))
