"""Bursts of requests share ten connections, which are opened when they are first needed."""

import asyncio
import random

import aiohttp
from aiohttp import web
from loop import run

LOOP = asyncio.new_event_loop()


async def item(request):
    return web.Response(body=bytes(int(request.query["size"])))


async def start():
    application = web.Application()
    application.router.add_get("/item", item)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    client = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=10))
    return runner, client, "http://127.0.0.1:%d/item" % runner.addresses[0][1]


async def fetch(client, address):
    size = min(60_000, int(400 * random.paretovariate(0.8)))
    async with client.get(address, params={"size": size}) as response:
        assert len(await response.read()) == size


async def burst():
    count = min(12, int(random.paretovariate(1)))
    await asyncio.gather(*(fetch(CLIENT, ADDRESS) for _ in range(count)))


def step(number):
    LOOP.run_until_complete(burst())


if __name__ == "__main__":
    RUNNER, CLIENT, ADDRESS = LOOP.run_until_complete(start())
    run(step)
    LOOP.run_until_complete(CLIENT.close())
    LOOP.run_until_complete(RUNNER.cleanup())
