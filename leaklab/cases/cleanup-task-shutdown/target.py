"""A service starts a cleanup task and is shut down; the event loop goes on."""

import asyncio

from leaklab import mark
from leaklab.catalogue.harness import case_arguments


def load_state(payload_bytes):
    return bytearray(payload_bytes)


class Service:
    """Owns its state and a task that cleans it every minute."""

    def __init__(self, payload_bytes):
        self.state = load_state(payload_bytes)

    async def clean(self):
        self.state[0] = 1

    async def clean_every_minute(self):
        while True:
            await self.clean()
            await asyncio.sleep(60)

    async def clean_when_asked(self):
        asked = asyncio.Event()  # known to this task only: nobody will ever set it
        while True:
            await self.clean()
            await asked.wait()

    async def start(self):
        self.task = asyncio.create_task(self.clean_every_minute())
        await asyncio.sleep(0)

    async def stop(self):
        pass


class Cancelling(Service):
    """The documented fix: shutdown cancels the task and waits until it is over."""

    async def stop(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


class ForgettingWaiter(Service):
    """Nobody holds the task and nothing will wake it: the cycle collector takes it, unfinished."""

    async def start(self):
        asyncio.create_task(self.clean_when_asked())  # noqa: RUF006 - the mistake shown
        await asyncio.sleep(0)


class ForgettingSleeper(Service):
    """Nobody holds the task but the loop's timer, and that is enough."""

    async def start(self):
        asyncio.create_task(self.clean_every_minute())  # noqa: RUF006 - the mistake shown
        await asyncio.sleep(0)


VARIANTS = {
    "before": Service,
    "documented_fix": Cancelling,
    "reference_dropped_sleeping": ForgettingSleeper,
    "reference_dropped_waiting": ForgettingWaiter,
}


async def run(arguments):
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    for _ in range(arguments.iterations):
        service = VARIANTS[arguments.variant](arguments.payload_bytes)
        await service.start()
        await service.stop()
        del service
        mark()


if __name__ == "__main__":
    asyncio.run(run(case_arguments(__file__)))
