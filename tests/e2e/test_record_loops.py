"""Event loops of all kinds, asyncio, uvloop, trio and anyio: when they end, which tasks stay."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import recorded

from leaklab.analysis.series import resource_series
from leaklab.results.run import Run
from leaklab.verdict.judge import LEAK, judge

# Asks itself to end in the middle, by a signal from outside; what it has is given back then, which
# takes longer than it would have to.
ASKED = """
    import os, signal, subprocess, sys, time
    from leaklab import mark

    held = []

    def take():
        held.append(os.open(os.devnull, os.O_RDONLY))
        if len(held) == 60:
            subprocess.run(["kill", str(os.getpid())])
        if "marks" in sys.argv:
            mark()

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

    import uvloop
    uvloop.run(main())
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
    ("how", "unit", "status"),
    [
        (BY_DEFAULT, "iteration", (None, "SIGTERM")),
        (BY_HANDLER, "second", (0, None)),
        (BY_HANDLER, "iteration", (0, None)),
        (BY_LOOP, "second", (0, None)),
        (BY_TRIO, "iteration", (0, None)),
    ],
    ids=["default, marks", "handler", "handler, marks", "uvloop", "trio, marks"],
)
def test_nothing_after_a_sigterm_is_judged(
    tmp_path: Path, how: str, unit: str, status: tuple[int | None, str | None]
) -> None:
    data = recorded.record(tmp_path, ASKED + how, *["marks"] * (unit == "iteration"))
    [entry] = data.meta["passes"]
    assert (entry["exit_status"], entry["signal"]) == status, entry["stderr_tail"]
    verdict = judge(data)
    resource = verdict.resource("fd_count")
    assert resource is not None
    assert (verdict.verdict, resource.verdict) == (LEAK, LEAK), verdict.reason
    assert resource.unit == unit


def test_tasks_are_counted_where_there_are_no_marks(tmp_path: Path) -> None:
    data = recorded.record(
        tmp_path,
        """
        import asyncio, uvloop

        async def main():
            kept = []
            for _ in range(40):
                kept.append(asyncio.create_task(asyncio.Event().wait()))
                await asyncio.sleep(0.02)
            await asyncio.sleep(1)  # a busy machine looks late

        uvloop.run(main())
        """,
        passes=("measure", "explain"),
    )
    series = resource_series(data, "task_count")
    assert series.attrs["pass"] == "explain"
    assert 40 <= series["value"].max() <= 41


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
        passes=("explain",),
        mark_on=["http"],
        drive="load.py",
        drive_round_count=2,
        drive_idle_seconds=0.2,
        duration_seconds=60,
    )
    series = resource_series(data, "task_count", pass_="explain")
    assert series.attrs["unit"] == "iteration"
    rate, _ = np.polyfit(series["x"], series["value"], 1)
    assert rate == pytest.approx(1, abs=0.1)
    rows = Run(data).origins()
    first = rows[rows["resource"] == "task_count"].iloc[0]
    if sys.version_info >= (3, 14):  # there nothing reports the making of a task
        assert first["subject"] == "app.follow"
        return
    assert (first["function"], Path(first["file"]).name) == ("Service.__call__", "app.py")
    assert first["source"].strip() == "self.group.start_soon(follow, self.topic)"
    assert first["subject"] == "app.follow, waits at app.py:6"
