"""Load goes to the service's port, not to that of its metrics or of the tracer."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import psutil
import pytest
from recorded import record

from leaklab.errors import UsageError
from leaklab.recorder import ports
from leaklab.recorder.drive import READY_POLL_SECONDS, Drive
from leaklab.recorder.options import RecordOptions

SERVICE = """
    import http.server, sys, threading, time
    metrics = http.server.HTTPServer(("127.0.0.1", {metrics}), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=metrics.serve_forever, daemon=True).start()
    time.sleep(1)  # what a service does before it listens: imports, a database

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *args):
            pass

    http.server.HTTPServer(("127.0.0.1", {service}), Handler).serve_forever()
"""
LOAD = """
    import os, urllib.request

    def drive():
        for _ in range(20):
            port = os.environ["LEAKLAB_TARGET_PORT"]
            urllib.request.urlopen(f"http://127.0.0.1:{port}/").read()
"""


def free_port() -> int:
    # Below those that the kernel gives by itself: somebody has chosen such a port.
    for port in range(21_000, 32_000):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no free port")


def wait_for_children(pid: int) -> list[psutil.Process]:
    while not (found := psutil.Process(pid).children()):
        pass
    return found


@pytest.mark.slow
def test_load_finds_the_service_beside_its_metrics(tmp_path: Path) -> None:
    metrics = free_port()
    service = metrics + 1
    (tmp_path / "app.py").write_text(
        textwrap.dedent(SERVICE).format(metrics=metrics, service=service)
    )
    (tmp_path / "load.py").write_text(textwrap.dedent(LOAD))
    app = tmp_path / "app.py"
    data = record(tmp_path, app, drive="load.py", mark_on=("http",), drive_idle_seconds=0.2)
    events = {event["kind"]: event["text"] for event in data.meta["events"]}
    assert "drive" not in events, events
    assert f"load goes to port {service}" in events["port"]
    assert max(entry["mark_count"] for entry in data.meta["processes"]) >= 60


def test_the_likely_port(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = [
        Counter({9105: 1, 40_001: 1}),
        Counter({9105: 1, 40_001: 1, 8105: 3}),
        Counter({9105: 1, 40_001: 1, 8105: 3}),
    ]
    monkeypatch.setattr(ports, "listening", lambda pids: Counter(looks.pop(0)))
    monkeypatch.setattr(ports, "_ephemeral", lambda: range(32768, 61000))
    port = ports.ServicePort()
    assert not port.settled(0.0, [1], left_out=[])
    assert not port.settled(1.4, [1], left_out=[])
    assert port.settled(3.0, [1], left_out=[])
    assert (port.chosen, port.others) == (8105, [9105, 40_001])


def test_the_tracer_s_port_is_nobody_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "listening", lambda pids: Counter({40_001: 1}))
    port = ports.ServicePort()
    assert not port.settled(10.0, [1], left_out=[40_001])
    assert port.chosen is None


def test_a_named_port_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = [Counter({9105: 1}), Counter({9105: 1, 8105: 1})]
    monkeypatch.setattr(ports, "listening", lambda pids: looks.pop(0))
    port = ports.ServicePort(8105)
    assert not port.settled(50.0, [1], left_out=[])
    assert port.settled(50.1, [1], left_out=[])


def test_a_port_needs_a_drive() -> None:
    with pytest.raises(UsageError, match="a port without a drive: 80; add --drive"):
        RecordOptions(command=["app.py"], drive_port=80)
    with pytest.raises(UsageError, match="no port: 70000; allowed: 1 to 65535"):
        RecordOptions(command=["app.py"], drive="load.py", drive_port=70000)


def ready_after(drive: Drive, pids: list[int], patience_seconds: float) -> float | None:
    """Step on, each look as long as looks are; the time at which the load begins, if it does."""
    now = 0.0
    while now < patience_seconds:
        now += READY_POLL_SECONDS * 1.01
        drive.step(now, pids)
        if drive.has_begun:
            drive.close()
            return now
    return None


def test_a_child_that_nobody_has_followed_yet_is_still_starting() -> None:
    """A recorder on a busy machine looks for new processes seldom."""
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])",
        ]
    )
    try:
        (child,) = wait_for_children(parent.pid)
        drive = Drive(["true"], 1, 0.1, None, lambda kind, text: None)
        assert ready_after(drive, [parent.pid], 30.0) is None
    finally:
        parent.kill()
        parent.wait()
        child.kill()


def test_what_has_listened_before_is_waited_for_and_the_load_says_what_it_lacked() -> None:
    sleeper = subprocess.Popen(["sleep", "600"])
    said: list[str] = []
    fails = [sys.executable, "-c", "import os; os.environ['LEAKLAB_TARGET_PORT']"]
    options = (1, 0.1, None, lambda kind, text: said.append(text))
    try:
        for before, least, most in ((None, 0.0, 30.0), (3.0, 59.0, 61.0)):
            drive = Drive(fails, *options, listened_seconds=before)
            ready = ready_after(drive, [sleeper.pid], 70.0)
            assert ready is not None and least < ready < most
        assert Drive(fails, *options, listened_seconds=9.0).patience_seconds == 90
        drive = Drive(fails, *options)
        now = 0.0
        while not drive.has_failed:
            now += READY_POLL_SECONDS
            drive.step(now, [sleeper.pid])
        assert "KeyError: 'LEAKLAB_TARGET_PORT' (the target listened on no port" in said[-1]
        assert drive.listened_seconds is None
        drive.close()
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_target_that_nobody_looked_at_is_not_known_to_be_quiet() -> None:
    """The recorder may have been busy for ten seconds; only what it has seen since counts."""
    sleeper = subprocess.Popen(["sleep", "60"])
    drive = Drive(["true"], 1, 0.1, None, lambda kind, text: None)
    try:
        for now in (0.0, 10.0, 20.0):
            drive.step(now, [sleeper.pid])
        assert not drive.has_begun
        look = 0
        while not drive.has_begun:  # it may have to fall asleep first
            look += 1
            drive.step(20.0 + READY_POLL_SECONDS * (look + 1.01), [sleeper.pid])
        assert look > 10
    finally:
        drive.close()
        sleeper.kill()
        sleeper.wait()
