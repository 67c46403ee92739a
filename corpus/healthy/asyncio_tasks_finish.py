"""Tasks are awaited."""

import asyncio

from loop import run

LOOP = asyncio.new_event_loop()


async def work(n):
    await asyncio.sleep(0)
    return n


async def batch():
    return await asyncio.gather(*(work(n) for n in range(20)))


def step(number):
    LOOP.run_until_complete(batch())


if __name__ == "__main__":
    run(step)
