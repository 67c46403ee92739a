"""What looks at origins tell in one process: kinds, lines and how they are known; prints JSON.

Run with the repository as argument, by any CPython.
"""

import asyncio
import gc
import json
import mmap
import os
import socket
import subprocess
import sys
import tempfile
import threading
import types
import weakref
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

sys.path.insert(0, sys.argv[1])

from leaklab.probe.origin_looks import OriginLooks

kept = []
segments = []
spare = socket.socket()
folder = Path(tempfile.mkdtemp())
shared = folder / "shared.txt"
single = folder / "single.txt"
mapped = folder / "mapped.bin"
mapped.write_bytes(b"0")


def keep_shared():
    kept.append(shared.open("a"))


def use_shared():
    with shared.open() as file:
        file.read()


def keep_single():
    kept.append(os.open(str(single), os.O_CREAT | os.O_WRONLY))


def use_mapped():
    with mapped.open("rb") as file:
        keep_map(file.fileno())


def keep_map(number):
    kept.append(mmap.mmap(number, 0, access=mmap.ACCESS_READ))


def leave_segment():
    segment = SharedMemory(create=True, size=8)
    segments.append(segment)
    segment.close()


def keep_segment():
    segment = SharedMemory(create=True, size=8)
    kept.append(segment)
    segments.append(segment)


def use_segment():
    segment = SharedMemory(create=True, size=8)
    segment.close()
    segment.unlink()


def connect(server):
    client = socket.create_connection(server.getsockname())
    accepted, _ = server.accept()
    accepted.close()
    kept.append(client)


def wait_for(event):
    event.wait()


def start_thread(event):
    thread = threading.Thread(target=wait_for, args=(event,), daemon=True)
    thread.start()
    kept.append(thread)


def start_child():
    kept.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))


def start_task(coroutine):
    return asyncio.create_task(coroutine)


async def serve():
    await asyncio.sleep(60)


def fork_child(ends):
    pid = os.fork()
    if pid == 0:
        os.read(ends[0], 1)
        os._exit(0)


def look(looks):
    found = looks.look({spare.fileno()}, spare.fileno())
    rows, frames, stacks = [], list(found["frames"]), dict(map(tuple, found["stacks"]))
    while True:
        rows += found["rows"]
        if not found["more"]:
            break
        found = looks.next_part()
        frames += found["frames"]
        stacks.update(map(tuple, found["stacks"]))
    return rows, frames, stacks


def main():
    resource_tracker.ensure_running()
    looks = OriginLooks()
    look(looks)
    frames, stacks = [], {}
    event = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))
    ends = os.pipe()
    for _ in range(4):
        keep_shared()
        use_shared()
        keep_single()
        use_mapped()
        connect(server)
        leave_segment()
        keep_segment()
        use_segment()
        start_thread(event)
        start_child()
        fork_child(ends)
        rows, new_frames, new_stacks = look(looks)
        frames += new_frames
        stacks.update(new_stacks)

    async def wait():
        await asyncio.sleep(60)

    async def with_tasks():
        tasks = [start_task(wait()) for _ in range(3)]
        ended = asyncio.create_task(asyncio.sleep(0))
        # As a server makes one for a connection.
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.create_task, serve())
        await ended
        rows, new_frames, new_stacks = look(looks)
        for task in tasks:
            task.cancel()
        return rows, new_frames, new_stacks

    rows, new_frames, new_stacks = asyncio.run(with_tasks())
    frames += new_frames
    stacks.update(new_stacks)
    told = {}
    for kind, stack, how, count, subject in rows:
        names = [frames[number][0].rpartition(".")[2] for number in stacks.get(stack, ())]
        mine = [name for name in names if name in globals() or name == "wait"]
        told.setdefault("%s %s" % (kind, mine[0] if mine else None), []).append(
            [how, count, Path(subject).name]
        )
    # Nothing of the target's calls may hang on until a collection.
    gc.collect()
    gc.disable()
    for _ in range(5):
        keep_single()
        look(looks)
    frames_left = [one.f_code.co_name for one in gc.get_objects() if type(one) is types.FrameType]
    told["left"] = [[name, 1, ""] for name in frames_left if name not in ("main", "<module>")]
    looks.stop()
    names = vars(asyncio.tasks)
    known = names["_scheduled_tasks" if "_scheduled_tasks" in names else "_all_tasks"]
    kinds = [type(one) for one in (known, threading._dangling)]
    told["set"] = [[str(set(kinds) == {weakref.WeakSet}), len(kinds), ""]]
    os.write(ends[1], b"1234")
    event.set()
    for one in kept:
        if isinstance(one, subprocess.Popen):
            one.communicate(b"\n")
    for one in segments:
        one.unlink()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
