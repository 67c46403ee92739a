"""HTTP clients of four libraries, dropped, held or closed after one request.

Where they are dropped the cycle collector is off: what reference counting frees by itself is told
from what would wait for a collection.
"""

import asyncio
import gc
import http.client
import subprocess
import sys
import warnings
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import requests
import urllib3

from leaklab import mark
from leaklab.catalogue.harness import case_arguments

LOOPBACK = Path(__file__).parents[1] / "loopback.py"
HELD = []


async def with_requests(url):
    session = requests.Session()
    session.get(url)
    return session


async def with_urllib3(url):
    pool = urllib3.PoolManager()
    pool.request("GET", url)
    return pool


async def with_http_client(url):
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    connection.request("GET", "/")
    connection.getresponse().read()
    return connection


async def with_aiohttp(url):
    session = aiohttp.ClientSession()
    async with session.get(url) as response:
        await response.read()
    return session


async def drop(client):
    pass


async def hold(client):
    HELD.append(client)


async def close(client):
    """The documented fix: cleanup closes the idle connections."""
    closing = client.clear() if isinstance(client, urllib3.PoolManager) else client.close()
    if closing is not None:
        await closing


# variant: (the client that made a request, what becomes of it)
VARIANTS = {
    "before": (with_requests, hold),
    "documented_fix": (with_requests, close),
    "requests_dropped": (with_requests, drop),
    "urllib3_held": (with_urllib3, hold),
    "urllib3_closed": (with_urllib3, close),
    "urllib3_dropped": (with_urllib3, drop),
    "http_client_dropped": (with_http_client, drop),
    "aiohttp_held": (with_aiohttp, hold),
    "aiohttp_closed": (with_aiohttp, close),
    "aiohttp_dropped": (with_aiohttp, drop),
}


async def run(arguments, url):
    make, treat = VARIANTS[arguments.variant]
    warnings.simplefilter("ignore", ResourceWarning)
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    if treat is drop:
        gc.disable()
    for _ in range(arguments.iterations):
        await treat(await make(url))
        await asyncio.sleep(0)  # closing an asyncio transport takes a turn of the loop
        mark()


if __name__ == "__main__":
    arguments = case_arguments(__file__)
    server = subprocess.Popen(
        [sys.executable, "-I", LOOPBACK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with server:
        asyncio.run(run(arguments, server.stdout.readline().strip()))
