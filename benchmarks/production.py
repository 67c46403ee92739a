"""The door and the exporter in real services: what they cost when idle, and what they say.

    python benchmarks/production.py idle [--pairs 200]
    python benchmarks/production.py look [--objects 3000000]
    python benchmarks/production.py services [--minutes 2] [--repetitions 5] [--only NAMES]

``idle``: a service takes the same requests in turn through the door and past it; processor time by
the kernel's count (nanoseconds) and elapsed time per batch, as ratios of pairs with a 95 % interval
of the median; what the door's thread takes; what a worker holds more (unique set size). ``look``:
the longest request while the object graph of a large heap is taken, beside the longest without.
``services``: uvicorn, gunicorn (sync, gthread) and Celery prefork, each with a leaking, a slowly
warming and a healthy endpoint or task, under load: verdict and holder by the door for each worker,
verdicts by the exporter. A service without the leak must raise no alarm.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import psutil

TOKEN = "a token for the benchmark only"
BATCH = 150
ASGI = """
import os
from leaklab.door.asgi import LeakDoor
KEPT, CACHE = [], {}
class Row:
    pass
class Session:
    def __init__(self):
        self.body = bytearray(100_000)
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
    path = scope["path"]
    if path.startswith("/export") and os.environ.get("LEAK"):
        KEPT.append(Session())
    elif path.startswith("/warm"):
        CACHE.setdefault(hash(path) % 20, bytearray(100_000))
    body = b"".join(b"%d" % n for n in range(400))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
app = LeakDoor(service, figure_seconds=float(os.environ.get("FIGURES", "10")))
async def turns(scope, receive, send):
    await (service if scope.get("path") == "/bare" else app)(scope, receive, send)
"""
WSGI = """
import os
from leaklab.door.wsgi import LeakDoor
KEPT, CACHE = [], {}
class Session:
    def __init__(self):
        self.body = bytearray(100_000)
def service(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/export") and os.environ.get("LEAK"):
        KEPT.append(Session())
    elif path.startswith("/warm"):
        CACHE.setdefault(hash(path) % 20, bytearray(100_000))
    start_response("200 OK", [])
    return [b"".join(b"%d" % n for n in range(400))]
app = LeakDoor(service, figure_seconds=float(os.environ.get("FIGURES", "10")))
"""
TASKS = """
import os
from celery import Celery
from celery.signals import worker_process_init
import leaklab.door
app = Celery("tasks", broker_url="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"}
app.conf.task_ignore_result = True
KEPT, CACHE = [], {}
class Session:
    def __init__(self):
        self.body = bytearray(100_000)
@worker_process_init.connect
def opened(**details):
    leaklab.door.open(figure_seconds=float(os.environ["FIGURES"]))
@app.task
def export(number):
    if os.environ.get("LEAK"):
        KEPT.append(Session())
@app.task
def warm(number):
    CACHE.setdefault(number % 20, bytearray(100_000))
@app.task
def healthy(number):
    sum(range(400))
"""
SERVERS = {
    "uvicorn": (ASGI, ["uvicorn", "app:app", "--workers", "4", "--log-level", "warning"]),
    "sync": (WSGI, ["gunicorn", "app:app", "--workers", "2"]),
    "gthread": (WSGI, ["gunicorn", "app:app", "-w", "2", "-k", "gthread", "--threads", "2"]),
    "celery": (TASKS, ["celery", "-A", "app", "worker", "-c", "2", "-l", "error"]),
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class Service:
    """One server with its door's folder; ended with all its workers."""

    def __init__(self, words: list[str], source: str, folder: Path, **environment: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("queue", "control"):
            (folder / name).mkdir(exist_ok=True)
        (folder / "app.py").write_text(source)
        self.folder, self.port = folder, free_port()
        bind = {"uvicorn": ["--port", str(self.port)], "gunicorn": ["-b", f"127.0.0.1:{self.port}"]}
        known = {"LEAKLAB_DOOR_FOLDER": str(folder / "door"), "FIGURES": "10"}
        with (folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *words, *bind.get(words[0], [])],
                cwd=folder,
                env={**os.environ, **known, **environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                self.ask("/")
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


def cpu_seconds(pid: int, *, main: bool = False) -> float:
    """Processor time of a process or its main thread, in nanoseconds of resolution."""
    tasks = Path(f"/proc/{pid}/task").glob(f"{pid if main else '*'}/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def median_interval(ratios: np.ndarray) -> tuple[float, float, float]:
    """Median and 95 % interval of it by bootstrap over pairs."""
    rng = np.random.default_rng(1)
    drawn = np.median(rng.choice(ratios, (4000, len(ratios))), axis=1)
    return float(np.median(ratios)), *map(float, np.quantile(drawn, (0.025, 0.975)))


def idle(pairs: int, folder: Path) -> None:
    """Compare requests with and without the door within one process: two differ by their luck."""
    words = ["uvicorn", "app:turns", "--log-level", "error"]
    one = Service(words, ASGI, folder, LEAKLAB_DOOR_TOKEN=TOKEN)
    try:
        one.wait()
        pid, line = one.process.pid, http.client.HTTPConnection("127.0.0.1", one.port)
        cost = np.zeros((pairs + 5, 2, 2))
        begun, others = time.perf_counter(), cpu_seconds(pid) - cpu_seconds(pid, main=True)
        for pair in range(pairs + 5):
            for which in (0, 1) if pair % 2 else (1, 0):
                before = cpu_seconds(pid, main=True), time.perf_counter()
                for _ in range(BATCH):
                    line.request("GET", ("/bare", "/door")[which])
                    line.getresponse().read()
                after = cpu_seconds(pid, main=True), time.perf_counter()
                cost[pair, which] = np.subtract(after, before)
        for what, column in (("processor time", 0), ("elapsed time", 1)):
            ratios = cost[5:, 1, column] / cost[5:, 0, column]
            middle, low, high = median_interval(ratios)
            print(f"{what} a request, door / bare: {middle:.4f} ({low:.4f} to {high:.4f})")
        spent = cpu_seconds(pid) - cpu_seconds(pid, main=True) - others
        print(f"its thread: {spent / (time.perf_counter() - begun):.3%} of a processor")
    finally:
        one.close()
    held = []
    for name, environment in (("bare", {}), ("door", {"LEAKLAB_DOOR_TOKEN": TOKEN})):
        one = Service(words, ASGI, folder / name, **environment)
        try:
            one.wait()
            held.append(psutil.Process(one.process.pid).memory_full_info().uss)
        finally:
            one.close()
    print(f"unique set size a worker: {(held[1] - held[0]) / 2**20:+.2f} MiB with the door")


def look(objects: int, folder: Path) -> None:
    words = ["uvicorn", "app:app", "--log-level", "error"]
    one = Service(words, ASGI, folder, LEAKLAB_DOOR_TOKEN=TOKEN, OBJECTS=str(objects))
    try:
        one.wait()
        one.ask("/leaklab")
        for what in ("without a look", "with a look", "with a second look"):
            slowest, ended = longest(one, what != "without a look")
            print(f"{what}: longest request {slowest * 1000:.1f} ms{ended}")
    finally:
        one.close()


def longest(one: Service, looks: bool) -> tuple[float, str]:
    """The longest of all requests in five seconds, or while a look is under way."""
    line = http.client.HTTPConnection("127.0.0.1", one.port)
    begun, slowest, state = time.perf_counter(), 0.0, {"state": "complete"}
    if looks:
        while one.ask("/leaklab/graph", "POST")[0] == 409:
            time.sleep(0.2)
        state = {"state": "asked"}
    asked = time.perf_counter()
    while time.perf_counter() - begun < 5 or state["state"] in ("asked", "walking"):
        at = time.perf_counter()
        line.request("GET", "/healthy")
        line.getresponse().read()
        slowest = max(slowest, time.perf_counter() - at)
        if looks and time.perf_counter() - asked > 1:
            asked = time.perf_counter()
            state = json.loads(one.ask("/leaklab/graph")[1])
    if not looks:
        return slowest, ""
    held, count = state.get("held_seconds"), state.get("object_count")
    return slowest, f"; {state['state']}, {count} objects, held {1000 * (held or 0):.1f} ms"


class Load:
    """Requests or tasks of three kinds, in random order, until told to end."""

    def __init__(self, one: Service, name: str) -> None:
        self.one, self.name, self.ended = one, name, threading.Event()
        self.count = 0
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        chosen = random.Random(1)
        if self.name == "celery":
            program = (
                "import random, sys, time\nfrom app import export, warm, healthy\n"
                "chosen = random.Random(1)\nwhile True:\n"
                "    chosen.choice([export, warm, healthy]).delay(chosen.randrange(10**6))\n"
                "    time.sleep(0.03)\n"
            )
            sender = subprocess.Popen(
                [sys.executable, "-c", program], cwd=self.one.folder, env={**os.environ}
            )
            self.ended.wait()
            sender.kill()
            sender.wait()
            return
        while not self.ended.wait(0.01):
            kind = chosen.choice(("export", "warm", "healthy"))
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.one.ask(f"/{kind}/{self.count}")
                self.count += 1

    def close(self) -> None:
        self.ended.set()
        self.thread.join()


def service_verdicts(name: str, leak: bool, minutes: float, folder: Path) -> dict[str, object]:
    """Run one service under load and return what the door, the exporter and the labels say."""
    source, words = SERVERS[name]
    environment = {"LEAKLAB_DOOR_TOKEN": TOKEN, "FIGURES": "1", **({"LEAK": "1"} if leak else {})}
    one = Service(words, source, folder, **environment)
    port = free_port()
    load = exporter = None
    try:
        if name == "celery":
            while not list((folder / "door").glob("worker-*.json")):
                time.sleep(0.2)
        else:
            one.wait()
        exporter = subprocess.Popen(
            [
                *(sys.executable, "-m", "leaklab", "watch", str(one.process.pid)),
                *("--interval", "1s", "--metrics", f"127.0.0.1:{port}"),
                *("--store", str(folder / "store")),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while True:  # it loads its libraries first
            with contextlib.suppress(OSError):
                said_by_exporter(port)
                break
            time.sleep(0.2)
        load = Load(one, name)
        time.sleep(60 * minutes)
        told = said_by_door(folder / "door")
        told["exporter"] = said_by_exporter(port)
        return told
    finally:
        for each in (load, one):
            if each is not None:
                each.close()
        if exporter is not None:
            exporter.send_signal(signal.SIGINT)
            exporter.wait(30)


def said_by_door(door: Path) -> dict[str, object]:
    from leaklab.door import analysis

    said = analysis.status(door)
    rss = [
        row["verdict"]
        for worker in said["workers"]
        for row in worker["resources"]
        if row["name"] == "rss_bytes"
    ]
    others = [
        f"{row['name']} {row['reason']}"
        for worker in said["workers"]
        for row in worker["resources"]
        if row["name"] != "rss_bytes" and row["verdict"] == "leak"
    ]
    holders = {}
    for worker in said["workers"]:
        asked = subprocess.run(
            [sys.executable, "-m", "leaklab.door", str(door), "graph", str(worker["worker"])],
            capture_output=True,
            text=True,
            check=False,
        )
        found = json.loads(asked.stdout) if asked.returncode == 0 else {"holders": []}
        named = [r for r in found["holders"] if r["path"].startswith("app.")]
        holders[worker["worker"]] = named[0]["path"] if named else asked.stderr.strip()
    return {"door": rss, "false alarms of counts": others, "holders": list(holders.values())}


def said_by_exporter(port: int) -> dict[str, int]:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    line.request("GET", "/metrics")
    text = line.getresponse().read().decode()
    rows = [
        row.split('worker="')[1].split('"')[0]
        for row in text.splitlines()
        if row.startswith("leaklab_verdict{") and 'verdict="leak"' in row and row.endswith(" 1.0")
    ]
    return {worker: rows.count(worker) for worker in sorted(set(rows))}


def services(minutes: float, repetitions: int, only: list[str], folder: Path) -> None:
    for name in only or SERVERS:
        for leak in (True, False):
            for repetition in range(repetitions if not leak else 1):
                place = folder / f"{name}-{leak}-{repetition}"
                said = service_verdicts(name, leak, minutes, place)
                print(f"{name}, {'leaking' if leak else 'healthy'}: {json.dumps(said)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=textwrap.dedent(__doc__ or ""))
    parser.add_argument("what", choices=("idle", "look", "services"))
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--objects", type=int, default=3_000_000)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="leaklab-production-") as folder:
        if asked.what == "idle":
            idle(asked.pairs, Path(folder))
        elif asked.what == "look":
            look(asked.objects, Path(folder))
        else:
            names = [name for name in asked.only.split(",") if name]
            services(asked.minutes, asked.repetitions, names, Path(folder))


if __name__ == "__main__":
    main()
