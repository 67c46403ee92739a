"""Targets whose standard library is patched (gevent, eventlet) or whose marks are lost."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import recorded
from recorded import growing_line

APP = """
    CACHE = []

    def remember():
        CACHE.append(b"x" * 200_000)

    def application(environ, start_response):
        remember()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]
"""
LOAD = """
    import os, threading, urllib.request

    def ask():
        for _ in range(10):
            url = f"http://127.0.0.1:{os.environ['LEAKLAB_TARGET_PORT']}/"
            urllib.request.urlopen(url).read()

    def drive():
        # At the same time, so that greenlets of one worker are in the middle of requests.
        clients = [threading.Thread(target=ask) for _ in range(4)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
"""
GREENLETS = """
    import gevent.monkey
    gevent.monkey.patch_all()
    import gevent, threading, time
    from leaklab import mark

    kept = []

    def remember():
        kept.append(b"x" * 100_000)

    def work():
        for _ in range(20):
            remember()
            time.sleep(0.001)
            mark()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    gevent.joinall([gevent.spawn(work) for _ in range(3)])
    for worker in workers:
        worker.join()
"""
# What the probe reads at a mark, the tasks of asyncio, gives the control away: to the main
# greenlet, which makes marks of its own and never comes back.
SWITCHES = """
    import sys, threading, time, types
    import greenlet
    from leaklab import mark

    main = greenlet.getcurrent()

    class Tasks(types.ModuleType):
        def __getattr__(self, name):
            if greenlet.getcurrent() is not main:
                main.switch()
            raise AttributeError(name)

    mark()
    sys.modules["asyncio.tasks"] = Tasks("asyncio.tasks")
    lost = greenlet.greenlet(mark)
    lost.switch()
    {marks}
    print("done", flush=True)
    del sys.modules["asyncio.tasks"]
"""
IN_THE_SAME_THREAD = """
    begun = time.monotonic()
    while time.monotonic() - begun < 1.5:
        mark()
        time.sleep(0.05)
"""
IN_ANOTHER_THREAD = """
    other = threading.Thread(target=mark)
    other.start()
    other.join()
"""


@pytest.mark.slow
def test_gevent_workers_of_gunicorn_with_graphs(tmp_path: Path) -> None:
    recorded.script(tmp_path, APP, "app.py")
    recorded.script(tmp_path, LOAD, "load.py")
    command = ["gunicorn", "-k", "gevent", "-b", "127.0.0.1:0", "app:application"]
    run = recorded.record_program(
        tmp_path,
        command,
        passes=("explain",),
        mark_on=["http"],
        duration_seconds=60,
        graphs="fork",
        drive="load.py",
        drive_round_count=2,
        drive_idle_seconds=0.2,
    )
    worker = run.meta["processes"][1]
    assert (worker["role"], worker["mark_count"]) == ("fork of main", 80), run.meta["events"]
    assert [row["stopped_by"] for row in run.meta["passes"]] == ["drive"]
    assert growing_line(run, "fork of main") == ("remember", "app.py")
    assert (run.graph_dumps["state"] == "complete").sum() >= 2, list(run.graph_dumps["reason"])
    assert not [event for event in run.meta["events"] if event["kind"] == "let-go"]


@pytest.mark.slow
def test_a_script_that_patches_everything(tmp_path: Path) -> None:
    run = recorded.record(tmp_path, GREENLETS, passes=("explain",), graphs="fork")
    assert run.meta["passes"][0]["exit_status"] == 0
    assert run.meta["processes"][0]["mark_count"] == 120
    assert growing_line(run, "main") == ("remember", "target.py")
    assert set(run.graph_dumps["state"]) == {"complete"}


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="there no module is asked for its tasks")
@pytest.mark.parametrize(
    "marks", [IN_THE_SAME_THREAD, IN_ANOTHER_THREAD], ids=["same-thread", "another-thread"]
)
def test_a_lost_mark_lets_the_target_go(tmp_path: Path, marks: str) -> None:
    source = SWITCHES.replace("    {marks}\n", marks)
    run = recorded.record(tmp_path, source, duration_seconds=20)
    assert run.meta["passes"][0]["exit_status"] == 0
    assert run.meta["passes"][0]["stdout_tail"] == "done\n"
    (event,) = (event for event in run.meta["events"] if event["kind"] == "let-go")
    assert "has not come back" in event["text"]


EVENTLET = """
    import eventlet
    eventlet.monkey_patch()
    import os, signal
    from eventlet import wsgi
    from app import application

    server = eventlet.spawn(wsgi.server, eventlet.listen(("127.0.0.1", 0)), application)
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    server.wait()
"""


def test_eventlet_under_load_with_graphs(tmp_path: Path) -> None:
    recorded.script(tmp_path, APP, "app.py")
    recorded.script(tmp_path, LOAD.replace("range(10)", "range(5)"), "load.py")
    run = recorded.record(
        tmp_path,
        EVENTLET,
        passes=("explain",),
        mark_on=["http"],
        duration_seconds=60,
        graphs="fork",
        drive="load.py",
        drive_round_count=1,
        drive_idle_seconds=0.1,
        env={"PYTHONWARNINGS": "ignore"},
    )
    assert [row["stopped_by"] for row in run.meta["passes"]] == ["drive"]
    assert run.meta["processes"][0]["mark_count"] == 20, run.meta["events"]
    assert growing_line(run, "main") == ("remember", "app.py")
    assert (run.graph_dumps["state"] == "complete").sum() >= 2, list(run.graph_dumps["reason"])
    assert not [event for event in run.meta["events"] if event["kind"] == "let-go"]
