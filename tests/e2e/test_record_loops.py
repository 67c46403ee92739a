"""Event loops of all kinds, asyncio, uvloop, trio and anyio: when they end, which tasks stay."""

from __future__ import annotations

from pathlib import Path

import pytest
import recorded

from leaklab.analysis.series import resource_series
from leaklab.results.run import Run
from leaklab.verdict.judge import LEAK, judge

# Asks itself to end in the middle, by a signal from outside; what it has is given back then, which
# takes longer than it would have to.
ASKED = """
    import os, signal, subprocess, sys, time

    held = []

    def take():
        held.append(os.open(os.devnull, os.O_RDONLY))
        if len(held) == 80:
            subprocess.run(["kill", str(os.getpid())])

    def give_back():
        os.close(held.pop())
"""
BY_HANDLER = """
    stopped = []

    def stop(number, frame):
        assert signal.getsignal(signal.SIGTERM) is stop
        stopped.append(number)

    assert signal.signal(signal.SIGTERM, stop) is signal.SIG_DFL
    while not stopped:
        take()
        time.sleep(0.015)
    while held:
        give_back()
        time.sleep(0.01)
"""
BY_DEFAULT = """
    while True:
        take()
        time.sleep(0.015)
"""
BY_LOOP = """
    import asyncio

    async def main():
        stopped = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
        while not stopped.is_set():
            take()
            await asyncio.sleep(0.015)
        while held:
            give_back()
            await asyncio.sleep(0.01)
"""
BY_TRIO = """
    import trio

    async def main():
        with trio.open_signal_receiver(signal.SIGTERM) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(work)
                async for _ in signals:
                    nursery.cancel_scope.cancel()
        while held:
            give_back()
            await trio.sleep(0.01)

    async def work():
        while True:
            take()
            await trio.sleep(0.015)

    trio.run(main)
"""


@pytest.mark.parametrize(
    ("how", "run", "status"),
    [
        (BY_DEFAULT, "", (None, "SIGTERM")),
        (BY_HANDLER, "", (0, None)),
        (BY_LOOP, "import uvloop; uvloop.run(main())", (0, None)),
        (BY_TRIO, "", (0, None)),
    ],
    ids=["default", "handler", "uvloop", "trio"],
)
def test_nothing_after_a_sigterm_is_judged(
    tmp_path: Path, how: str, run: str, status: tuple[int | None, str | None]
) -> None:
    data = recorded.record(tmp_path, ASKED + how + f"    {run}\n")
    [entry] = data.meta["passes"]
    assert (entry["exit_status"], entry["signal"]) == status, entry["stderr_tail"]
    verdict = judge(data)
    resource = verdict.resource("fd_count")
    assert resource is not None
    assert (verdict.verdict, resource.verdict) == (LEAK, LEAK), verdict.reason


def test_tasks_are_counted_where_there_are_no_marks(tmp_path: Path) -> None:
    data = recorded.record(
        tmp_path,
        """
        import asyncio, uvloop

        async def main():
            kept = []
            for _ in range(60):
                kept.append(asyncio.create_task(asyncio.Event().wait()))
                await asyncio.sleep(0.02)

        uvloop.run(main())
        """,
        passes=("measure", "explain"),
    )
    series = resource_series(data, "task_count")
    assert series.attrs["pass"] == "explain"
    assert 40 <= series["value"].max() <= 61


# What each request starts in the group of the whole service never ends.
SERVICE = """
    import contextlib
    import anyio

    async def follow(topic):
        await topic.wait()

    class Service:
        async def __call__(self, scope, receive, send):
            if scope["type"] == "lifespan":
                await receive()
                async with anyio.create_task_group() as self.group:
                    self.topic = anyio.Event()
                    await send({"type": "lifespan.startup.complete"})
                    await receive()
                    self.group.cancel_scope.cancel()
                await send({"type": "lifespan.shutdown.complete"})
            elif scope["type"] == "http":
                self.group.start_soon(follow, self.topic)
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b"ok"})

    app = Service()
"""
LOAD = """
    import os, urllib.request

    def drive():
        for _ in range(30):
            url = f"http://127.0.0.1:{os.environ['LEAKLAB_TARGET_PORT']}/"
            urllib.request.urlopen(url).read()
"""


@pytest.mark.slow
def test_tasks_of_anyio_under_uvicorn(tmp_path: Path) -> None:
    recorded.script(tmp_path, SERVICE, "app.py")
    recorded.script(tmp_path, LOAD, "load.py")
    data = recorded.record_program(
        tmp_path,
        ["uvicorn", "--port", "0", "--loop", "uvloop", "app:app"],
        passes=("measure", "explain"),
        mark_on=["http"],
        drive="load.py",
        drive_round_count=2,
        drive_idle_seconds=0.2,
        duration_seconds=60,
    )
    found = judge(data).resource("task_count")
    assert found is not None
    assert (found.verdict, found.unit) == (LEAK, "iteration"), found.reason
    assert found.rate == pytest.approx(1, abs=0.1)
    rows = Run(data).origins()
    first = rows[rows["resource"] == "task_count"].iloc[0]
    assert (first["function"], Path(first["file"]).name) == ("follow", "app.py")
