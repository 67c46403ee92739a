"""The door in real servers: verdicts on all workers, what one holds, nobody in without a token."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

TOKEN = "a token that nobody guesses"
ASGI = """
    import sys
    from leaklab.door.asgi import LeakDoor

    class Session:
        def __init__(self):
            self.body = bytearray(20_000)

    SESSIONS = []

    async def service(scope, receive, send):
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": message["type"] + ".complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        if scope["path"] == "/leak":
            SESSIONS.append(Session())
        body = b"heavy" if "pandas" in sys.modules or "numpy" in sys.modules else b"ok"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    app = LeakDoor(service, folder=FOLDER, figure_seconds=0.1)
"""
WSGI = """
    import sys
    from leaklab.door.wsgi import LeakDoor

    class Session:
        def __init__(self):
            self.body = bytearray(20_000)

    SESSIONS = []

    def service(environ, start_response):
        if environ["PATH_INFO"] == "/leak":
            SESSIONS.append(Session())
        start_response("200 OK", [])
        return [b"heavy" if "pandas" in sys.modules or "numpy" in sys.modules else b"ok"]

    app = LeakDoor(service, folder=FOLDER, figure_seconds=0.1)
"""
SERVERS = {
    "uvicorn": (ASGI, ["uvicorn", "app:app", "--workers", "2", "--log-level", "warning"]),
    "gunicorn": (WSGI, ["gunicorn", "app:app", "--workers", "2", "--preload"]),
    "gthread": (WSGI, ["gunicorn", "app:app", "--workers", "2", "-k", "gthread", "--threads", "2"]),
}


class Service:
    def __init__(self, port: int, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.port, self.folder, self.process = port, folder, process

    def ask(self, path: str, method: str = "GET", token: str | None = TOKEN) -> tuple[int, Any]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        if token is not None:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                body = answer.read()
                return answer.status, json.loads(body) if body[:1] == b"{" else body
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def status(self) -> dict[str, Any]:
        until = time.monotonic() + 60
        while (said := self.ask("/leaklab"))[0] == 202:  # nobody is kept waiting
            assert time.monotonic() < until, said
            time.sleep(0.2)
        assert said[0] == 200, said
        found: dict[str, Any] = said[1]
        return found

    def look(self, worker: int) -> dict[str, Any]:
        # At once after the look before: one that is answered is over.
        said = self.ask(f"/leaklab/graph?worker={worker}", "POST")
        assert said[0] == 202, said
        until = time.monotonic() + 60
        while time.monotonic() < until:
            found: dict[str, Any] = self.ask(f"/leaklab/graph?worker={worker}")[1]
            if found["state"] in ("complete", "failed", "refused"):
                return found
            time.sleep(0.2)  # as whoever asks over HTTP has to
        raise AssertionError(found)


# What memray#728 asks for: a container without the right to trace and without a disk, where the
# service itself is process 1; all that it may write to is a private tmpfs.
LOCKED = """
    set -e
    mount -t tmpfs -o size=64m tmpfs "$TMPDIR"
    mount -o remount,bind,ro /
    exec setpriv --bounding-set=-sys_ptrace --no-new-privs "$@"
"""


@contextlib.contextmanager
def serving(
    name: str, tmp_path: Path, *before: str, folder: Path | None = None
) -> Iterator[Service]:
    source, words = SERVERS[name]
    folder = folder or tmp_path / "door"
    (tmp_path / "app.py").write_text(textwrap.dedent(source).replace("FOLDER", repr(str(folder))))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    bind = ["--port", str(port)] if name == "uvicorn" else ["--bind", f"127.0.0.1:{port}"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [*before, sys.executable, "-m", *words, *bind],
            cwd=tmp_path,
            env={**os.environ, "LEAKLAB_DOOR_TOKEN": TOKEN, "TMPDIR": str(folder.parent)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    service = Service(port, folder, process)
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(OSError):
                service.ask("/")
                break
            time.sleep(0.05)
        yield service
    finally:
        if before:  # which waits for the service, whatever it is sent
            psutil.Process(process.pid).children()[0].terminate()
        else:
            process.terminate()
        try:
            process.wait(20)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.slow
# gthread is the one in the locked container, below.
@pytest.mark.parametrize("name", ["uvicorn", "gunicorn"])
def test_a_worker_says_what_leaks_and_what_holds_it(name: str, tmp_path: Path) -> None:
    with serving(name, tmp_path) as service:
        workers: set[int] = set()
        until = time.monotonic() + 60
        while len(workers) < 2 and time.monotonic() < until:
            service.ask("/leak")
            workers = {int(path.stem.split("-")[1]) for path in service.folder.glob("worker-*")}
        assert len(workers) == 2
        for worker in workers:
            first = service.look(worker)
            assert first["state"] == "complete", first
            assert not first["compared"]
        for _ in range(200):
            assert service.ask("/leak")[1] == b"ok"  # no worker has loaded the analysis
        # Which worker takes a request is the kernel's choice: one may have taken nearly all.
        gained = {}
        for worker in workers:
            second = service.look(worker)
            assert second["compared"]
            assert second["held_seconds"] < 0.5
            gained[worker] = sum(
                row["growth_bytes"] or 0
                for row in second["holders"]
                if row["path"].endswith("SESSIONS")
            )
        worker = max(gained, key=lambda one: gained[one])
        assert gained[worker] > 20_000 * 50
        assert str(tmp_path) not in json.dumps(second)
        said = service.status()
        assert {row["worker"] for row in said["workers"]} == workers
        assert said["answered_by"] in workers
        (mine,) = (row for row in said["workers"] if row["worker"] == worker)
        assert {row["name"] for row in mine["resources"]} >= {"rss_bytes", "fd_count"}
    assert list(service.folder.iterdir()) == []  # workers that were told to end leave nothing


@pytest.mark.slow
def test_the_heap_of_a_service_in_a_locked_container(tmp_path: Path) -> None:
    alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if shutil.which("setpriv") is None or subprocess.run([*alone, "true"], check=False).returncode:
        pytest.skip("no namespaces can be made here")
    private = tmp_path / "private"
    private.mkdir()
    locked = [*alone, "sh", "-c", textwrap.dedent(LOCKED), "sh"]
    with serving("gthread", tmp_path, *locked, folder=private / "door") as service:
        for _ in range(100):
            assert service.ask("/leak")[0] == 200
        held = []
        for worker in {row["worker"] for row in service.status()["workers"]}:
            for _ in range(2):
                look = service.look(worker)
                assert look["state"] == "complete", look
            assert "own.graph" not in json.dumps(look)
            # What was allocated before anybody looked, and what holds it.
            held += [row for row in look["holders"] if row["path"] == "app.SESSIONS"]
        assert max(row["retained_bytes"] for row in held) > 20_000 * 40, held
        (master,) = psutil.Process(service.process.pid).children()
        status = Path(f"/proc/{master.pid}/status").read_text()
        assert int(re.search(r"CapBnd:\s*(\w+)", status)[1], 16) >> 19 & 1 == 0  # SYS_PTRACE
        assert master.pid != 1 and f"NSpid:\t{master.pid}\t1\n" in status
        assert not list(tmp_path.glob("private/*"))  # none of it came to the disk
        until = time.monotonic() + 20
        while any(one.status() == psutil.STATUS_ZOMBIE for one in master.children(recursive=True)):
            assert time.monotonic() < until  # the walkers are collected, though after the answer
            time.sleep(0.05)


@pytest.mark.slow
def test_nobody_is_let_in_without_the_token(tmp_path: Path) -> None:
    with serving("gunicorn", tmp_path) as service:
        for token in (None, "", "another token altogether"):
            for method, path in (
                ("GET", "/leaklab"),
                ("POST", "/leaklab/graph"),
                ("GET", "/leaklab/graph?worker=1"),
            ):
                assert service.ask(path, method, token)[0] == 401
        for query in ("worker=../../etc", "worker=1", "worker=-1", "worker=" + "9" * 400, "x=1"):
            assert service.ask(f"/leaklab/graph?{query}", "POST")[0] == 404
        assert service.ask("/leaklab/../etc")[0] == 404
        assert service.ask("/leaklabels")[1] == b"ok"
        assert list(service.folder.glob("request-*")) == []
        assert service.folder.stat().st_mode & 0o077 == 0


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_of_a_look_leaves_no_copy(tmp_path: Path) -> None:
    with serving("gunicorn", tmp_path) as service:
        service.ask("/leak")
        service.ask("/leaklab")
        worker = int(next(service.folder.glob("worker-*")).stem.split("-")[1])
        assert service.ask(f"/leaklab/graph?worker={worker}", "POST")[0] == 202
        os.kill(worker, signal.SIGKILL)
        until = time.monotonic() + 30
        while time.monotonic() < until:
            if worker not in {row["worker"] for row in service.status()["workers"]}:
                break
            time.sleep(0.2)
        assert not list(service.folder.glob(f"*-{worker}-*"))
        assert service.ask("/leak")[0] == 200
