"""Each answer races with the end of the service, and the loser of the race is not cancelled."""

import asyncio
import random

from loop import run

LOOP = asyncio.new_event_loop()
STOP = asyncio.Event()


def receive(number):
    return b"%08d" % number + bytes(min(30_000, int(random.lognormvariate(7.5, 1))))


async def answer(request):
    for _ in range(random.randint(1, 4)):
        await asyncio.sleep(0)
    return len(request)


async def refuse(request):
    await STOP.wait()
    return -len(request)


async def handle(number):
    request = receive(number)
    race = [asyncio.create_task(answer(request)), asyncio.create_task(refuse(request))]
    done, _ = await asyncio.wait(race, return_when=asyncio.FIRST_COMPLETED)
    return done.pop().result()


async def serve(number):
    burst = 6 if random.random() < 0.05 else 1
    await asyncio.gather(*[handle(number) for _ in range(burst)])


def step(number):
    LOOP.run_until_complete(serve(number))


if __name__ == "__main__":
    run(step)
