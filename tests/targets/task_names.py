"""Tasks that have names, and tasks that a library started; writes their graph."""

import asyncio
import json
import sys

import anyio

sys.path.insert(0, sys.argv[1])

from leaklab.probe.graph import dump_by_fork, prepare


async def wait_on():
    await asyncio.sleep(60)


async def serve():
    await wait_on()


# A coroutine of the standard library that awaits the target's.
namespace = {}
exec(
    compile("async def in_library(one):\n    await one\n", asyncio.__file__, "exec"),
    namespace,
)
in_library = namespace["in_library"]


async def main():
    tasks = [
        asyncio.get_running_loop().create_task(serve(), name="poller-7"),
        asyncio.get_running_loop().create_task(serve()),
        asyncio.get_running_loop().create_task(in_library(wait_on())),
    ]
    async with anyio.create_task_group() as group:
        group.start_soon(serve)
        group.start_soon(serve, name="mailer")
        await asyncio.sleep(0.01)
        prepare()
        print(json.dumps(dump_by_fork(sys.argv[2], limit_seconds=20)))
        group.cancel_scope.cancel()
    for task in tasks:
        task.cancel()


asyncio.run(main())
