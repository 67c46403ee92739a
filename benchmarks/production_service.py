"""The services of `benchmarks/production.py`: servers with a door, and a load of three kinds."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

TOKEN = "a token for the benchmark only"
PAUSE_SECONDS = 0.02
# One kind of work leaks, one fills a cache that nothing bounds but the number of its keys, one does
# neither.
WORK = """
import os
KEPT, CACHE = [], {}
class Session:
    def __init__(self):
        self.body = bytearray(100_000)
def work(kind, number):
    if kind == "export" and os.environ.get("LEAK"):
        KEPT.append(Session())
    elif kind == "warm":
        CACHE.setdefault(number % 40, bytearray(100_000))
    return b"".join(b"%d" % n for n in range(400))
"""
ASGI = (
    WORK
    + """
from leaklab.door.asgi import LeakDoor
class Row:
    pass
ROWS = []
for _ in range(int(os.environ.get("OBJECTS", "0")) // 2):
    row = Row()
    row.next = (row,)
    ROWS.append(row)
async def service(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    kind, _, number = scope["path"][1:].partition("/")
    body = work(kind, int(number or 0))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
app = LeakDoor(service, figure_seconds=float(os.environ.get("FIGURES", "10")))
async def turns(scope, receive, send):
    await (service if scope.get("path") == "/bare" else app)(scope, receive, send)
"""
)
WSGI = (
    WORK
    + """
from leaklab.door.wsgi import LeakDoor
def service(environ, start_response):
    kind, _, number = environ["PATH_INFO"][1:].partition("/")
    body = work(kind, int(number or 0))
    start_response("200 OK", [])
    return [body]
app = LeakDoor(service, figure_seconds=float(os.environ.get("FIGURES", "10")))
"""
)
TASKS = (
    WORK
    + """
from celery import Celery
from celery.signals import worker_process_init
import leaklab.door
app = Celery("tasks", broker_url="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"}
app.conf.task_ignore_result = True
@worker_process_init.connect
def opened(**details):
    if "LEAKLAB_DOOR_FOLDER" in os.environ:
        leaklab.door.open(figure_seconds=float(os.environ["FIGURES"]))
@app.task
def export(number):
    work("export", number)
@app.task
def warm(number):
    work("warm", number)
@app.task
def healthy(number):
    work("healthy", number)
"""
)
# The transport writes a message in place, and a worker that reads half of one ends: so it is moved.
SENDER = f"""
import os, random, time
from app import app, export, warm, healthy
app.conf.broker_transport_options = {{
    **app.conf.broker_transport_options, "data_folder_out": "written"}}
chosen = random.Random(1)
while True:
    chosen.choice([export, warm, healthy]).delay(chosen.randrange(10**6))
    for name in os.listdir("written"):
        os.rename(os.path.join("written", name), os.path.join("queue", name))
    time.sleep({PAUSE_SECONDS})
"""
# Source, command, how many workers there are, and the label of the leaking kind.
SERVERS = {
    "uvicorn": (
        ASGI,
        ["uvicorn", "app:app", "--workers", "4", "--log-level", "warning"],
        4,
        "GET /export/{}",
    ),
    "sync": (WSGI, ["gunicorn", "app:app", "--workers", "2"], 2, "GET /export/{}"),
    "gthread": (
        WSGI,
        ["gunicorn", "app:app", "-w", "2", "-k", "gthread", "--threads", "2"],
        2,
        "GET /export/{}",
    ),
    "celery": (TASKS, ["celery", "-A", "app", "worker", "-c", "2", "-l", "error"], 2, "app.export"),
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class Service:
    """One server in a folder of its own; ``before``: what starts it, such as a recorder."""

    def __init__(
        self, words: list[str], source: str, folder: Path, *before: str, **environment: str
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("queue", "control", "written"):
            (folder / name).mkdir(exist_ok=True)
        (folder / "app.py").write_text(source)
        self.folder, self.port = folder, free_port()
        self.has_http = words[0] != "celery"
        bind = {"uvicorn": ["--port", str(self.port)], "gunicorn": ["-b", f"127.0.0.1:{self.port}"]}
        program = ["-m", *words, *bind.get(words[0], [])]
        with (folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*before, *program] if before else [sys.executable, *program],
                cwd=folder,
                env={**os.environ, "FIGURES": "10", **environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self, door: bool = True) -> None:
        """Wait until it answers, or its workers have opened their doors."""
        until = time.monotonic() + 60
        while time.monotonic() < until and self.process.poll() is None:
            if self.has_http:
                with contextlib.suppress(OSError):
                    self.ask("/")
                    return
            elif not door or list((self.folder / "door").glob("worker-*.json")):
                return
            time.sleep(0.1)
        raise SystemExit((self.folder / "log").read_text()[-2000:])

    def ask(self, path: str, method: str = "GET") -> tuple[int, bytes]:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        line.request(method, path, headers={"Authorization": f"Bearer {TOKEN}"})
        answer = line.getresponse()
        body = answer.read()
        line.close()
        return answer.status, body

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Load:
    """Requests or tasks of three kinds, in random order, until told to end."""

    def __init__(self, one: Service) -> None:
        self.one, self.ended, self.count = one, threading.Event(), 0
        self.thread = threading.Thread(target=self._requests if one.has_http else self._tasks)
        self.thread.start()

    def _tasks(self) -> None:
        sender = subprocess.Popen([sys.executable, "-c", SENDER], cwd=self.one.folder)
        self.ended.wait()
        sender.kill()
        sender.wait()

    def _requests(self) -> None:
        chosen = random.Random(1)
        while not self.ended.wait(PAUSE_SECONDS):
            kind = chosen.choice(("export", "warm", "healthy"))
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.one.ask(f"/{kind}/{chosen.randrange(10**6)}")
                self.count += 1

    def close(self) -> None:
        self.ended.set()
        self.thread.join()
