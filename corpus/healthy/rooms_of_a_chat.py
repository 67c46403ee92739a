"""Members of a chat come in bursts, read from a queue each, and are cancelled when they go."""

import asyncio
import random

from loop import run

LOOP = asyncio.new_event_loop()
ROOMS = {room: {} for room in range(6)}


async def member(inbox):
    last = bytearray(2_000)
    while True:
        text = await inbox.get()
        last[: len(text)] = text
        inbox.task_done()


async def serve(now):
    for _ in range(min(10, int(random.paretovariate(1.2)))):
        inbox = asyncio.Queue(20)
        until = now + min(50, 2 + int(random.lognormvariate(2, 1)))
        ROOMS[random.randrange(6)][LOOP.create_task(member(inbox))] = inbox, until
    room = ROOMS[random.randrange(6)]
    text = bytes(min(2_000, int(random.lognormvariate(4, 1))))
    for inbox, _ in room.values():
        inbox.put_nowait(text)
    for inbox, _ in room.values():
        await inbox.join()
    for members in ROOMS.values():
        for task in [task for task, (_, until) in members.items() if until <= now]:
            del members[task]
            task.cancel()
            await asyncio.wait([task])


def step(number):
    LOOP.run_until_complete(serve(number))


if __name__ == "__main__":
    run(step)
    for task in asyncio.all_tasks(LOOP):
        task.cancel()
    LOOP.run_until_complete(asyncio.sleep(0))
