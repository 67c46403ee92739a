"""The door and the exporter in real services: what they cost when idle, and what they say.

    python benchmarks/production.py idle [--seconds 240]
    python benchmarks/production.py look [--objects 3000000]
    python benchmarks/production.py services [--service NAMES] [--repetitions 5] [--minutes 2]
        [--parts watched,labels] [--kinds leaking,healthy] [--results FILE]
    python benchmarks/production.py report FILE

``idle``: a service takes the same requests in turn through the door and past it; processor time by
the kernel's count (nanoseconds) and elapsed time, as ratios of blocks with a 95 % interval of the
median; what the door's thread takes; what a worker holds more (unique set size). ``look``:
the longest request while the object graph of a large heap is taken, beside the longest without.
``services``: uvicorn, gunicorn (sync, gthread) and Celery prefork, each with a leaking, a slowly
warming and a healthy endpoint or task, under load. Part ``watched``: the service as it is, what its
door says of each worker and what the exporter beside it says; part ``labels``: the same under
``leaklab record --mark-on``, growth by label. A service without the leak must raise no alarm. Each
repetition is a line in FILE, from which ``report`` makes a table.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from production_service import ASGI, SERVERS, TOKEN, Load, Service, free_port

BATCH = 25


def cpu_seconds(pid: int, *, main: bool = False) -> float:
    """Processor time of a process or its main thread, in nanoseconds of resolution."""
    tasks = Path(f"/proc/{pid}/task").glob(f"{pid if main else '*'}/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def median_interval(ratios: np.ndarray) -> tuple[float, float, float]:
    """Median and 95 % interval of it by bootstrap."""
    rng = np.random.default_rng(1)
    drawn = [np.median(rng.choice(ratios, len(ratios))) for _ in range(2000)]
    return float(np.median(ratios)), *map(float, np.quantile(drawn, (0.025, 0.975)))


def idle(seconds: float, folder: Path) -> None:
    """Compare requests with and without the door within one process: two differ by their luck.

    In blocks of four small batches, bare, door, door, bare: what drifts within a block, the
    processor's clock say, takes as much from either. A block is one ratio.
    """
    words = ["uvicorn", "app:turns", "--log-level", "error"]
    one = Service(words, ASGI, folder, LEAKLAB_DOOR_TOKEN=TOKEN)
    try:
        one.wait()
        pid, line = one.process.pid, http.client.HTTPConnection("127.0.0.1", one.port)
        blocks: list[np.ndarray] = []
        begun, others = time.perf_counter(), cpu_seconds(pid) - cpu_seconds(pid, main=True)
        while time.perf_counter() - begun < seconds:
            cost = np.zeros((2, 2))
            for which in (0, 1, 1, 0) if len(blocks) % 2 else (1, 0, 0, 1):
                before = np.array([cpu_seconds(pid, main=True), time.perf_counter()])
                for _ in range(BATCH):
                    line.request("GET", ("/bare", "/door")[which])
                    line.getresponse().read()
                after = np.array([cpu_seconds(pid, main=True), time.perf_counter()])
                cost[which] += after - before
            blocks.append(cost)
        spent = cpu_seconds(pid) - cpu_seconds(pid, main=True) - others
        taken = np.array(blocks[5:])
        for what, column in (("processor time", 0), ("elapsed time", 1)):
            middle, low, high = median_interval(taken[:, 1, column] / taken[:, 0, column])
            print(
                f"{what} a request, door / bare, {len(taken)} blocks of 4 times {BATCH}: "
                f"{middle:.4f} ({low:.4f} to {high:.4f}, half-width {(high - low) / 2:.2%})"
            )
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


FLOOR = """
import os, sys, time
sys.path.insert(0, ".")
os.environ["OBJECTS"] = sys.argv[1]
import app
for _ in range(20):
    begun, spent = time.perf_counter(), time.process_time()
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    print(time.perf_counter() - begun, time.process_time() - spent)
    os.waitpid(pid, 0)
    time.sleep(0.2)
"""


def look(objects: int, folder: Path) -> None:
    """Requests at a pace beside a look; beside it what a bare fork of such a process holds it."""
    words = ["uvicorn", "app:app", "--log-level", "error"]
    known = {"LEAKLAB_DOOR_TOKEN": TOKEN, "LEAKLAB_DOOR_FOLDER": str(folder / "door")}
    one = Service(words, ASGI, folder, OBJECTS=str(objects), **known)
    try:
        one.wait()
        one.ask("/leaklab")
        for what in ("no look", "first look", "second look", "third look", "no look"):
            print(f"{what}: {_paced(one, folder / 'door', what != 'no look')}", flush=True)
    finally:
        one.close()
    words = [sys.executable, "-c", FLOOR, str(objects)]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
    held, spent = np.array([row.split() for row in done.stdout.splitlines()], float).T * 1000
    print(
        f"bare os.fork() of such a process, 20 times: held {np.median(held):.1f} ms (median), "
        f"{held.max():.1f} (longest); processor time {np.median(spent):.1f} ms"
    )


def _paced(one: Service, door: Path, looks: bool) -> str:
    """Ask every few milliseconds for ten seconds, or until a look is over; the longest of all.

    Near the copy: within half a second of the walk's beginning, as the state of the look tells it.
    """
    from leaklab.door import folder as store

    line = http.client.HTTPConnection("127.0.0.1", one.port)
    result = store.left_file(door, "graph", one.process.pid)
    if looks:
        while one.ask("/leaklab/graph", "POST")[0] == 409:
            time.sleep(0.2)
    begun, times, state, walking = time.perf_counter(), [], "asked", 0.0
    while (at := time.perf_counter()) - begun < 10 or (looks and state in ("asked", "walking")):
        line.request("GET", "/healthy")
        line.getresponse().read()
        times.append((at, time.perf_counter() - at))
        with contextlib.suppress(OSError, ValueError):
            state = json.loads(result.read_text())["state"]
        if looks and state == "walking" and not walking:
            walking = at
        time.sleep(0.003)
    taken = np.array(times) * 1000
    near = taken[np.abs(taken[:, 0] - walking * 1000) < 500, 1]
    text = (
        f"longest request {taken[:, 1].max():.1f} ms, 99.9 % {np.quantile(taken[:, 1], 0.999):.1f}"
    )
    if looks:
        text += f", near the copy {near.max():.1f}; {state} after {times[-1][0] - begun:.0f} s"
        said = json.loads(result.read_text())
        held = 1000 * (said.get("held_seconds") or 0)
        text += f", {said.get('object_count')} objects, held {held:.1f} ms"
    return text


def watched(name: str, leak: bool, minutes: float, folder: Path) -> dict[str, Any]:
    """Run one service under load and return what its door and the exporter say of its workers."""
    source, words, workers, _ = SERVERS[name]
    known = {"LEAKLAB_DOOR_TOKEN": TOKEN, "LEAKLAB_DOOR_FOLDER": str(folder / "door")}
    known |= {"FIGURES": "1", **({"LEAK": "1"} if leak else {})}
    one = Service(words, source, folder, **known)
    port = free_port()
    load = exporter = None
    try:
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
                exporter_verdicts(port)
                break
            time.sleep(0.2)
        load = Load(one)
        time.sleep(30 * minutes)
        looks(folder / "door")  # the growth of holders is told from two
        time.sleep(30 * minutes)
        said = {"workers": workers, **door_verdicts(folder / "door")}
        said["exporter"] = exporter_verdicts(port)
        said["holders"] = looks(folder / "door")
        return said
    finally:
        for each in (load, one):
            if each is not None:
                each.close()
        if exporter is not None:
            exporter.send_signal(signal.SIGINT)
            exporter.wait(30)


def door_verdicts(door: Path) -> dict[str, Any]:
    """Return verdicts on resident memory, one a worker, and what else was called a leak."""
    from leaklab.door import analysis

    rows = [row for worker in analysis.status(door)["workers"] for row in worker["resources"]]
    return {
        "door": [row["verdict"] for row in rows if row["name"] == "rss_bytes"],
        "reasons": [row["reason"] for row in rows if row["name"] == "rss_bytes"],
        "counts": [
            f"{row['name']} {row['reason']}"
            for row in rows
            if row["name"] != "rss_bytes" and row["verdict"] == "leak"
        ],
    }


def looks(door: Path) -> list[str]:
    """Take a look at each worker; return the first holder of the application's own in each."""
    from leaklab.door import folder as store

    found = []
    for pid in sorted(store.workers(door)):
        asked = subprocess.run(
            [sys.executable, "-m", "leaklab.door", str(door), "graph", str(pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        rows = json.loads(asked.stdout)["holders"] if asked.returncode == 0 else []
        own = [row["path"] for row in rows if row["path"].startswith("app.")]
        found.append(own[0] if own else (asked.stderr + asked.stdout).strip()[:200])
    return found


def exporter_verdicts(port: int) -> dict[str, list[str]]:
    """Return the verdicts of the exporter on resident memory and what else it calls a leak."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    line.request("GET", "/metrics")
    text = line.getresponse().read().decode()
    said: dict[str, list[str]] = {}
    for row in text.splitlines():
        if row.startswith("leaklab_verdict{") and row.endswith(" 1.0"):
            resource, verdict, worker = row.split('"')[1:6:2]
            if resource == "rss_bytes" or verdict == "leak":
                said.setdefault(f"{resource} {verdict}", []).append(worker)
    return said


def labels(name: str, leak: bool, minutes: float, folder: Path) -> dict[str, Any]:
    """Record one service under load by its routes or tasks and return the verdict on each."""
    source, words, _, wanted = SERVERS[name]
    mark = "task" if name == "celery" else "http"
    recorder = [sys.executable, "-m", "leaklab", "record", "--passes", "measure"]
    recorder += ["--mark-on", mark, "--duration", f"{60 * minutes:g}s", "--name", name]
    recorder += ["--store", str(folder / "store"), "--"]
    one = Service(words, source, folder, *recorder, **({"LEAK": "1"} if leak else {}))
    load = None
    try:
        one.wait(door=False)
        load = Load(one)
        one.process.wait(60 * minutes + 300)
    finally:
        for each in (load, one):
            if each is not None:
                each.close()
    return label_verdicts(folder / "log", wanted)


def label_verdicts(log: Path, wanted: str) -> dict[str, Any]:
    import leaklab

    path = log.read_text().strip().splitlines()[-1]
    run = leaklab.open(path)
    table = run.labels()
    table = table[table["resource"] == "rss_bytes"]
    rows = [
        f"{row['role']}: {row['label']}: {row['verdict']} {row['rate_low'] / 1000:.0f} to "
        f"{row['rate_high'] / 1000:.0f} kB of {row['calls']} calls"
        for row in table.to_dict("records")
    ]
    return {
        "run": run.verdict().verdict,
        "reason": run.verdict().reason,
        "leaking": sorted(set(table[table["verdict"] == "leak"]["label"])),
        "wanted": wanted,
        "labels": rows,
    }


def services(asked: argparse.Namespace, folder: Path) -> None:
    for name in asked.service.split(",") if asked.service else SERVERS:
        for repetition in range(asked.repetitions):
            for kind in asked.kinds.split(","):
                for part in asked.parts.split(","):
                    place = folder / f"{name}-{repetition}-{kind}-{part}"
                    done = {"watched": watched, "labels": labels}[part]
                    try:
                        said = done(name, kind == "leaking", asked.minutes, place)
                    except Exception as error:  # the others are run all the same
                        said = {"failed": f"{type(error).__name__}: {error}"}
                    row = {"service": name, "kind": kind, "part": part, "minutes": asked.minutes}
                    line = json.dumps({**row, **said})
                    print(line, flush=True)
                    if asked.results:
                        with Path(asked.results).open("a") as results:
                            results.write(line + "\n")


def report(path: Path) -> None:
    """Print what repetitions said as a table: verdicts, holders, alarms."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    print("| service, repetitions | door | exporter | holder | by label |\n|---|---|---|---|---|")
    for name in SERVERS:
        for kind in ("leaking", "healthy"):
            mine = [r for r in rows if (r["service"], r["kind"]) == (name, kind)]
            seen = [r for r in mine if r["part"] == "watched" and "failed" not in r]
            told = [r for r in mine if r["part"] == "labels" and "failed" not in r]
            if not mine:
                continue
            door = Counter(verdict for row in seen for verdict in row["door"])
            alarms = Counter(text.split()[0] for row in seen for text in row["counts"])
            beside: Counter[str] = Counter()
            for row in seen:
                for key, workers in row["exporter"].items():
                    count = len([worker for worker in workers if worker != "main"])
                    beside[key.removeprefix("rss_bytes ")] += count
            holders = Counter(text for row in seen for text in row["holders"])
            named = Counter(text for row in told for text in row["leaking"] or ["none leaks"])
            cells = [f"{name}, {kind}, {len(seen)} and {len(told)}"]
            cells += [_counted(each) for each in (door + alarms, beside, holders, named)]
            failed = len(mine) - len(seen) - len(told)
            print("| " + " | ".join(cells) + (f"; {failed} failed |" if failed else " |"))


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{text} {count}" for text, count in counter.most_common(6) if count)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=textwrap.dedent(__doc__ or ""), formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=("idle", "look", "services", "report"))
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--objects", type=int, default=3_000_000)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--service", default="")
    parser.add_argument("--parts", default="watched,labels")
    parser.add_argument("--kinds", default="leaking,healthy")
    parser.add_argument("--results", default="")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="leaklab-production-") as folder:
        if asked.what == "idle":
            idle(asked.seconds, Path(folder))
        elif asked.what == "look":
            look(asked.objects, Path(folder))
        elif asked.what == "report":
            report(asked.file)
        else:
            services(asked, Path(folder))


if __name__ == "__main__":
    main()
