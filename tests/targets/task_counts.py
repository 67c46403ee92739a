"""Counts asyncio tasks as the probe does, in a loop, from another thread and between two runs.

``python task_counts.py REPOSITORY`` prints JSON: the counts by the place where they were taken.
"""

import asyncio
import importlib.util
import json
import sys
import threading

spec = importlib.util.spec_from_file_location("figures", sys.argv[1] + "/leaklab/probe/figures.py")
figures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(figures)
counts = {}


def count(place):
    counts[place] = figures.figures().get("task_count")


async def wait_for_ever():
    await asyncio.Event().wait()


async def start(number):
    kept.extend(asyncio.ensure_future(wait_for_ever()) for _ in range(number))
    await asyncio.sleep(0)


async def look():
    count("in the loop")
    watcher = threading.Thread(target=count, args=("in another thread",))
    watcher.start()
    await asyncio.get_running_loop().run_in_executor(None, watcher.join)


async def serve():
    await start(4)
    ready.set()
    await asyncio.get_running_loop().run_in_executor(None, done.wait)


kept = []
ready, done = threading.Event(), threading.Event()
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
loop.run_until_complete(start(3))
count("between two runs")
loop.run_until_complete(look())
server = threading.Thread(target=lambda: asyncio.run(serve()))
server.start()
ready.wait()
count("with a loop in another thread")
done.set()
server.join()
for task in kept[:3]:
    task.cancel()
loop.run_until_complete(asyncio.gather(*kept[:3], return_exceptions=True))
count("when all are done")
loop.close()
print(json.dumps(counts))
