"""A device that says good-bye has its heartbeat cancelled, one whose link breaks has not."""

import asyncio
import random

from loop import run

LOOP = asyncio.new_event_loop()
CLOCK = asyncio.Condition()
DEVICES = {}


async def heartbeat(device):
    frame = bytearray(min(20_000, int(random.lognormvariate(8.2, 0.7))))
    frame[:2] = device.to_bytes(2, "big")
    async with CLOCK:
        while True:
            await CLOCK.wait()
            frame[2] = (frame[2] + 1) % 256


async def leave(device):
    task = DEVICES.pop(device)
    if random.random() < 0.4:
        return
    task.cancel()
    await asyncio.wait([task])


async def serve(number):
    for _ in range(min(6, int(random.paretovariate(1.5)))):
        device = random.randrange(40)
        if device in DEVICES:
            await leave(device)
        else:
            DEVICES[device] = LOOP.create_task(heartbeat(device))
    if number % 15 == 14:
        async with CLOCK:
            CLOCK.notify_all()
    await asyncio.sleep(0)


def step(number):
    LOOP.run_until_complete(serve(number))


if __name__ == "__main__":
    run(step)
    for task in asyncio.all_tasks(LOOP):
        task.cancel()
    LOOP.run_until_complete(asyncio.sleep(0))
