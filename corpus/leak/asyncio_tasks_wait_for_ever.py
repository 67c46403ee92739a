"""Tasks that wait for a future nobody sets."""

import asyncio

from loop import run

LOOP = asyncio.new_event_loop()
KEPT = []


async def wait():
    await LOOP.create_future()


async def serve():
    KEPT.append(asyncio.ensure_future(wait()))
    await asyncio.sleep(0)


def step(number):
    LOOP.run_until_complete(serve())


if __name__ == "__main__":
    run(step)
