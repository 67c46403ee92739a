"""The status of a service: asked of every worker at once, worked out by one process, never waited
for."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leaklab.door import folder as store
from leaklab.door import judging
from leaklab.door.asgi import LeakDoor as AsgiDoor
from leaklab.door.gate import Answer, Gate
from leaklab.door.keeper import Keeper, close
from leaklab.door.wsgi import LeakDoor

TOKEN = "0123456789abcdef"
BROUGHT = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A gate whose keeper leaves its figures in ``door``."""
    yield Gate("/leaklab", TOKEN, True, str(tmp_path / "door"), 0.05)
    close()


def get(gate: Gate, headers: dict[str, str] = BROUGHT) -> Answer:
    return gate.answer("GET", "/leaklab", "", headers, "127.0.0.1")


def until(gate: Gate, status: int) -> Answer:
    """Ask until it is answered with ``status``: what becomes of an analysis is seen in a file."""
    end = time.monotonic() + 60
    while (answer := get(gate)).status != status:
        assert time.monotonic() < end, answer
        time.sleep(0.02)
    return answer


def analyse_by(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    analysis = tmp_path / "analysis"
    analysis.write_text(f"#!/bin/sh\n{script}\n")
    analysis.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(analysis))


def test_status_is_told_at_once_and_judged_beside(gate: Gate) -> None:
    first = get(gate)
    assert (first.status, first.content["workers"]) == (202, [])
    assert "ask again" in first.content["reason"]
    said = until(gate, 200).content
    assert [row["worker"] for row in said["workers"]] == [os.getpid()]
    assert 0 <= said["judged_seconds_ago"] < 60
    assert Path(said["folder"]).is_dir()
    # Without the token nobody is told how the machine is laid out.
    assert "folder" not in get(gate, {}).content


def test_of_all_workers_one_has_its_analysis(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "go")
    analyse_by(f"echo >> {tmp_path}/begun; read line < {tmp_path}/go", tmp_path, monkeypatch)
    store.make(tmp_path / "door")
    mine = judging.Judging.begin(tmp_path / "door")
    assert mine is not None
    assert judging.Judging.begin(tmp_path / "door") is None
    assert get(gate).status == 202
    close()  # else the gate's own keeper begins one as soon as this has ended
    mine.end()
    again = judging.Judging.begin(tmp_path / "door")
    assert again is not None
    again.end()


def test_an_analysis_that_fails_is_an_answer(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    analyse_by("echo no memory; exit 3", tmp_path, monkeypatch)
    assert until(gate, 503).content["error"] == "the figures could not be judged: no memory"


def test_an_analysis_that_takes_too_long_is_an_answer(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "go")
    analyse_by(f"read line < {tmp_path}/go", tmp_path, monkeypatch)
    monkeypatch.setattr(judging, "_LONGEST_SECONDS", 0.1)
    assert "was ended after 0.1 s" in until(gate, 503).content["error"]


def test_the_analysis_ends_with_a_worker_that_is_killed() -> None:
    analysis = (
        "import os, signal; from leaklab.door.beside import end_with; end_with(os.getppid()); "
        "print('ready', flush=True); signal.pause()"
    )
    worker = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {analysis!r}], check=False)"
    )
    with subprocess.Popen([sys.executable, "-c", worker], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.kill()
        assert process.communicate(timeout=20)[0] == b""  # nobody has its end of the pipe any more
    # Of a worker that has ended before: in a process of its own, which from then on ends with its
    # parent. Nobody is its own parent; 1 may be that of a test run which was left alone.
    late = "import os; from leaklab.door.beside import end_with; end_with(os.getpid()); print(1)"
    done = subprocess.run([sys.executable, "-c", late], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_was_said_of_a_service_before_is_not_said_of_this(tmp_path: Path) -> None:
    row = {"worker": os.getpid(), "started_ticks": store.started_ticks(os.getpid())}
    for ticks, said in ((row["started_ticks"], True), (-1, False)):
        content = {"judged_at": time.monotonic(), "workers": [{**row, "started_ticks": ticks}]}
        store.write(judging.status_file(tmp_path), content)
        assert bool(judging.last(tmp_path)[0]) == said


def test_a_full_disk_is_told(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    gate.begin()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(store, "write", full)
        answer = gate.answer("POST", "/leaklab/graph", "", BROUGHT, "127.0.0.1")
    assert answer.status == 507
    assert "No space left on device" in answer.content["error"]
    # And nobody has to wait for the look that was not begun.
    assert gate.answer("POST", "/leaklab/graph", "", BROUGHT, "127.0.0.1").status == 202


def test_a_worker_is_found_whatever_else_is_asked(gate: Gate) -> None:
    gate.begin()
    for query, status in ((f"worker={os.getpid()}&x=1", 202), ("worker=1&worker=2", 404)):
        assert gate.answer("POST", "/leaklab/graph", query, BROUGHT, "").status == status


def test_a_door_below_a_root_path_is_found(tmp_path: Path) -> None:
    handed_on, answered = [], []

    async def service(scope: Any, receive: Any, send: Any) -> None:
        handed_on.append(scope["path"])

    async def send(message: Any) -> None:
        answered.append(message.get("status"))

    door: Any = AsgiDoor(service, token=TOKEN, folder=str(tmp_path / "door"))
    try:
        for path in ("/api/leaklab", "/api/other", "/apileaklab", "/leaklab"):
            scope = {"type": "http", "path": path, "root_path": "/api", "method": "GET"}
            asyncio.run(door({**scope, "headers": []}, None, send))
    finally:
        close()
    assert handed_on == ["/api/other", "/apileaklab"]
    assert answered == [401, None, 401, None]


def test_requests_are_counted(tmp_path: Path) -> None:
    def service(environ: Any, start_response: Any) -> list[bytes]:
        return []

    door = LeakDoor(service, token=TOKEN, folder=str(tmp_path / "door"))
    try:
        for path in ("/", "/a", "/b", "/leaklab"):
            door({"PATH_INFO": path, "REQUEST_METHOD": "GET"}, lambda *_: None)
        assert door._gate.handed_on.count == 2  # all but the one that has opened it
    finally:
        close()


def test_a_folder_stays_where_it_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    gate = Gate("/leaklab", TOKEN, False, "run/door", 10.0)
    keeper = Keeper(Path("run/own"), figure_seconds=100)
    monkeypatch.chdir(tmp_path / "elsewhere")
    try:
        gate.begin()
        keeper.figures()
    finally:
        close()
        keeper.close()
    assert (tmp_path / "run" / "door").is_dir() and (tmp_path / "run" / "own").is_dir()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_workers_of_another_container_are_told_and_left_alone(tmp_path: Path) -> None:
    from leaklab.door.analysis import status

    pid = os.getpid()
    series = {"seconds": [10.0 * k for k in range(60)], "values": [12.0 + 5 * k for k in range(60)]}
    mine = {
        "pid": pid,
        "started_ticks": store.started_ticks(pid),
        "place": store.place(),
        "figure_seconds": 10.0,
        "series": {"fd_count": {**series, "values": [12.0] * 60, "peak": 12.0}},
    }
    theirs = {
        **mine,
        "place": "elsewhere",
        "started_ticks": 1,
        "series": {"fd_count": {**series, "peak": 307.0}},
    }
    store.write(store.left_file(tmp_path, "worker", pid), mine)
    other = tmp_path / f"worker-{pid}-another.json"
    store.write(other, theirs)
    store.write(tmp_path / f"graph-{pid}-another.json", {"state": "asked"})
    said = status(tmp_path)
    assert [row["worker"] for row in said["workers"]] == [pid, pid]
    assert "whether it is alive cannot be told" in said["workers"][1]["elsewhere"]
    assert said["verdict"] == said["workers"][1]["verdict"] == "leak"
    # Once its figures come no more it is told, and says nothing of the service.
    os.utime(other, (time.time() - 40,) * 2)
    assert status(tmp_path)["verdict"] == "bounded"
    store.forget(tmp_path, pid)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"graph-{pid}-another.json",
        other.name,
    ]
    words = [sys.executable, "-m", "leaklab.door", str(tmp_path), "graph", str(pid)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "of another container: ask for its look in there" in done.stderr


def test_a_look_that_cannot_be_asked_for_is_one_line(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "door", figure_seconds=100)
    try:
        words = [sys.executable, "-m", "leaklab.door", str(tmp_path / "door"), "graph"]
        asked = ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *words, str(os.getpid())]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    finally:
        keeper.close()
    assert done.returncode == 1
    assert done.stderr.startswith(f"leaklab: nothing can be written to {tmp_path / 'door'}: ")
    assert done.stderr.count("\n") == 1


def test_what_takes_hardly_any_growth_is_not_told() -> None:
    from leaklab.door.analysis import _filling

    bounds = {"type": "Cache", "attribute": "data", "count": 1, "bound_count": 1000}
    before, kept = (
        {
            "total_bytes": total,
            "looked_at": at,
            "bounds": [{**bounds, "path": path, "held_count": held} for path in ("big", "small")],
        }
        for total, at, held in ((0, 0.0, 100), (10_000_000, 10.0, 200))
    )
    rows = [{"path": "big", "growth_bytes": 9_000_000}, {"path": "small", "growth_bytes": 700}]
    assert [row["path"] for row in _filling(rows, before, kept)] == ["big"]


def test_an_old_verdict_says_that_it_is_being_renewed(
    gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = until(gate, 200).content
    assert fresh["renewing"] is False
    assert fresh["workers"][0]["uptime_seconds"] == fresh["workers"][0]["age_seconds"]
    file = judging.status_file(tmp_path / "door")
    analyse_by("exec sleep 60", tmp_path, monkeypatch)
    store.write(file, store.read(file) | {"judged_at": time.monotonic() - 100})
    old = get(gate).content
    assert old["renewing"] is True
    assert old["judged_seconds_ago"] >= 100


def test_what_fills_is_told_with_the_time_that_is_left(gate: Gate, tmp_path: Path) -> None:
    get(gate)
    cache = {"path": "app.CACHE", "share": 0.9, "full_at": time.monotonic() + 100}
    file = store.left_file(tmp_path / "door", "graph", os.getpid())
    store.write(file, {"state": "complete", "filling": [cache]})
    answer = gate.answer("GET", "/leaklab/graph", "", BROUGHT, "")
    (told,) = answer.content["filling"]
    assert "full_at" not in told
    assert 0 < told["seconds_left"] <= 100


def asked(kind: str, method: str, path: str, folder: Path) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of a request to a door of one kind."""
    told: list[Any] = []
    token = {"token": TOKEN, "folder": str(folder)}
    if kind == "wsgi":
        environ = {"PATH_INFO": path, "REQUEST_METHOD": method}
        environ["HTTP_AUTHORIZATION"] = BROUGHT["authorization"]
        door = LeakDoor(lambda *_: [], **token)
        body = b"".join(door(environ, lambda *answer: told.extend(answer)))
        return int(told[0].split()[0]), dict(told[1]), body

    async def send(message: Any) -> None:
        told.append(message)

    headers = [(name.encode(), value.encode()) for name, value in BROUGHT.items()]
    scope = {"type": "http", "path": path, "method": method, "headers": headers}
    door: Any = AsgiDoor(None, **token)
    asyncio.run(door(scope, None, send))
    found = {name.decode().title(): value.decode() for name, value in told[0]["headers"]}
    return told[0]["status"], found, told[1]["body"]


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_methods(kind: str, tmp_path: Path) -> None:
    try:
        status, headers, body = asked(kind, "HEAD", "/leaklab", tmp_path)
        assert status in (200, 202)
        assert int(headers["Content-Length"]) > 0
        assert body == b""
        for method, path, allowed in (
            ("PUT", "/leaklab", "GET, HEAD"),
            ("POST", "/leaklab", "GET, HEAD"),
            ("DELETE", "/leaklab/graph", "GET, HEAD, POST"),
        ):
            status, headers, body = asked(kind, method, path, tmp_path)
            assert (status, headers["Allow"]) == (405, allowed)
            assert len(body) == int(headers["Content-Length"])
        # A look is taken by a POST alone.
        assert asked(kind, "HEAD", "/leaklab/graph", tmp_path)[0] == 404
        assert asked(kind, "PUT", "/leaklab/nothing", tmp_path)[0] == 404
    finally:
        close()
