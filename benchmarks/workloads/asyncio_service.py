"""An asyncio service: many small tasks over queues and JSON, a mark per round."""

import asyncio
import json
import sys

from clock import timed

from leaklab import mark


async def worker(questions, answers):
    """Answer until told to stop."""
    while (question := await questions.get()) is not None:
        document = json.loads(question)
        document["answer"] = sum(document["numbers"])
        await answers.put(json.dumps(document))


async def main(iterations):
    """Run rounds of a hundred questions past ten workers."""
    questions, answers = asyncio.Queue(), asyncio.Queue()
    workers = [asyncio.create_task(worker(questions, answers)) for _ in range(10)]
    for number in range(iterations):
        for place in range(100):
            await questions.put(json.dumps({"id": place, "numbers": list(range(number % 50))}))
        for _ in range(100):
            await answers.get()
        mark()
    for _ in workers:
        await questions.put(None)
    await asyncio.gather(*workers)


with timed():
    asyncio.run(main(int(sys.argv[1])))
