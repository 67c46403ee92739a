"""httpx clients used in `with` blocks, as they should be, and what is kept of their responses."""

import asyncio
import ssl
import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx

from leaklab import mark
from leaklab.catalogue.harness import case_arguments

LOOPBACK = Path(__file__).parents[1] / "loopback.py"
CONTEXT = ssl.create_default_context()
RESPONSES = []
STATUSES = Counter()


async def status_counted(url):
    """The checked program: the client is closed, the response goes out of scope."""
    with httpx.Client() as client:
        STATUSES[client.get(url).status_code] += 1


async def status_counted_async(url):
    async with httpx.AsyncClient() as client:
        STATUSES[(await client.get(url)).status_code] += 1


async def response_kept(url):
    with httpx.Client() as client:
        RESPONSES.append(client.get(url))


async def response_kept_shared_context(url):
    with httpx.Client(verify=CONTEXT) as client:
        RESPONSES.append(client.get(url))


async def async_client_never_closed(url):
    response = await httpx.AsyncClient().get(url)
    RESPONSES.append(response)


async def status_counted_shared_context(url):
    with httpx.Client(verify=CONTEXT) as client:
        STATUSES[client.get(url).status_code] += 1


VARIANTS = {
    "control": status_counted,
    "control_async": status_counted_async,
    "response_kept": response_kept,
    "response_kept_shared_context": response_kept_shared_context,
    "async_never_closed": async_client_never_closed,
    "better_fix": status_counted_shared_context,
}


async def run(arguments, url):
    for _ in range(arguments.iterations):
        await VARIANTS[arguments.variant](url)
        mark()


if __name__ == "__main__":
    arguments = case_arguments(__file__)
    server = subprocess.Popen(
        [sys.executable, "-I", LOOPBACK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with server:
        asyncio.run(run(arguments, server.stdout.readline().strip()))
