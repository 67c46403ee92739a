"""A worker that indexes periodically while a fetch is in progress, and how it learns of the end."""

import asyncio
import threading

from leaklab import mark
from leaklab.catalogue.harness import case_arguments


def fetch_tracks(payload_bytes):
    return bytearray(payload_bytes)


class Orchestrator:
    """Fetches, while a worker thread indexes what is there at every tick."""

    def __init__(self, arguments):
        self.tick_seconds = arguments.tick_seconds
        self.fetching = True
        self.finished = threading.Event()
        self.tracks = fetch_tracks(arguments.payload_bytes)
        self.worker = threading.Thread(target=self.index_periodically, daemon=True)

    def index(self):
        self.tracks[0] = 1

    def index_periodically(self):
        """The worker waits for the next tick, and the next: nothing tells it to end."""
        ticker = threading.Event()
        while True:
            ticker.wait(self.tick_seconds)
            self.index()

    def run(self):
        self.worker.start()
        self.fetching = False
        self.finished.set()


class CheckingOrchestrator(Orchestrator):
    """The documented fix: look whether the fetch is over before each wait."""

    def index_periodically(self):
        ticker = threading.Event()
        while self.fetching:
            ticker.wait(self.tick_seconds)
            self.index()


class WakingOrchestrator(Orchestrator):
    """The end of the fetch is what the worker waits for, with the tick as time-out."""

    def index_periodically(self):
        while not self.finished.wait(self.tick_seconds):
            self.index()

    def run(self):
        super().run()
        self.worker.join()


class TaskOrchestrator(Orchestrator):
    """The same as an asyncio task."""

    async def index_forever(self):
        while True:
            await asyncio.sleep(self.tick_seconds)
            self.index()

    async def run_async(self):
        self.worker = asyncio.create_task(self.index_forever())
        await asyncio.sleep(0)


class CancellingTaskOrchestrator(TaskOrchestrator):
    async def run_async(self):
        await super().run_async()
        self.worker.cancel()
        await asyncio.gather(self.worker, return_exceptions=True)


VARIANTS = {
    "before": Orchestrator,
    "documented_fix": CheckingOrchestrator,
    "better_fix": WakingOrchestrator,
    "task_before": TaskOrchestrator,
    "task_fixed": CancellingTaskOrchestrator,
}


async def run(arguments):
    for _ in range(arguments.iterations):
        owner = VARIANTS[arguments.variant](arguments)
        if arguments.variant in ("task_before", "task_fixed"):
            await owner.run_async()
        else:
            owner.run()
        del owner
        # At a steady pace: how many workers are in their last tick must not depend on the machine.
        await asyncio.sleep(arguments.tick_seconds / 2)
        mark()


if __name__ == "__main__":
    asyncio.run(run(case_arguments(__file__)))
