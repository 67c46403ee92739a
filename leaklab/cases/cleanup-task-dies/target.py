"""A background task cleans a store; one day an entry lacks a field. Time is simulated.

One iteration is a tick: new clients come by, then the task runs once, if it still lives.
"""

import asyncio

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

BUCKETS = {}
ERRORS = []


def sweep(now, ttl):
    for client in [c for c, bucket in BUCKETS.items() if now - bucket["last_access"] > ttl]:
        del BUCKETS[client]


def sweep_tolerant(now, ttl):
    """An entry without the field counts as expired."""
    for client in [c for c, bucket in BUCKETS.items() if now - bucket.get("last_access", 0) > ttl]:
        del BUCKETS[client]


async def unguarded(ticks, ttl):
    while True:
        now = await ticks.get()
        sweep(now, ttl)
        ticks.task_done()


async def guarded(ticks, ttl):
    """The documented error handling: log it and go on."""
    while True:
        now = await ticks.get()
        try:
            sweep(now, ttl)
        except KeyError as error:
            ERRORS[:] = [error.args]
        ticks.task_done()


async def guarded_tolerant(ticks, ttl):
    while True:
        now = await ticks.get()
        try:
            sweep_tolerant(now, ttl)
        except KeyError as error:
            ERRORS[:] = [error.args]
        ticks.task_done()


VARIANTS = {"before": unguarded, "documented_fix": guarded, "better_fix": guarded_tolerant}


async def run(arguments):
    ticks = asyncio.Queue(maxsize=1)
    task = asyncio.create_task(VARIANTS[arguments.variant](ticks, arguments.ttl))
    for tick in range(arguments.iterations):
        for number in range(arguments.clients):
            BUCKETS[f"10.{tick}.{number}"] = {"tokens": 59, "last_access": tick}
        if tick == 5:
            BUCKETS["10.malformed"] = {"tokens": 59}
        if not task.done():  # a service does not look; it only stops being cleaned
            await ticks.put(tick)
            await asyncio.wait(
                [task, finished := asyncio.create_task(ticks.join())],
                return_when=asyncio.FIRST_COMPLETED,
            )
            finished.cancel()
        gauge("bucket_count", len(BUCKETS))
        gauge("cleanup_alive", not task.done())
        mark()
    task.cancel()
    await asyncio.wait([task])
    task.cancelled() or task.exception()  # nobody else ever asks


if __name__ == "__main__":
    asyncio.run(run(case_arguments(__file__)))
