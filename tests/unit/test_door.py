"""The door by itself: when it is shut, whom it lets in, what it asks of its folder."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from leaklab.door import folder as store
from leaklab.door.__main__ import main as ask
from leaklab.door.analysis import status
from leaklab.door.gate import Gate
from leaklab.door.keeper import Keeper
from leaklab.door.keeper import _figures as figures_now
from leaklab.errors import LeaklabError
from leaklab.probe import graph

TOKEN = "0123456789abcdef"


left = store.left_file


def living(pid: int) -> dict[str, Any]:
    """What a living worker has left, without figures."""
    return {"pid": pid, "started_ticks": store.started_ticks(pid), "place": store.place()}


def gate(token: str | None = TOKEN, *, loopback: bool = False) -> Gate:
    return Gate("/leaklab", token, loopback, None, 10.0)


def test_a_door_without_a_token_is_shut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LEAKLAB_DOOR_TOKEN", raising=False)
    shut = gate(None)
    assert not shut.is_open
    assert not shut.is_mine("/leaklab")
    shut.begin()  # starts nothing
    monkeypatch.setenv("LEAKLAB_DOOR_TOKEN", TOKEN)
    assert gate(None).is_open


def test_who_is_let_in() -> None:
    door = gate()
    assert door.admits({"authorization": f"Bearer {TOKEN}"}, "10.1.2.3")
    assert not door.admits({"authorization": f"Bearer {TOKEN}x"}, "127.0.0.1")
    assert not door.admits({"authorization": f"Basic {TOKEN}"}, "127.0.0.1")
    assert not door.admits({"authorization": "Bearer tökén"}, "127.0.0.1")
    assert not door.admits({}, "127.0.0.1")
    near = gate(None, loopback=True)
    assert near.admits({}, "127.0.0.1")
    assert near.admits({}, "::1")
    assert not near.admits({}, "10.1.2.3")
    assert not near.admits({"x-forwarded-for": "10.1.2.3"}, "127.0.0.1")


@pytest.mark.parametrize("token", ["secret", ""])
def test_a_token_that_can_be_guessed_leaves_the_door_shut_and_the_service_up(
    token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Workers that cannot be imported are started anew for ever."""
    shut = gate(token, loopback=True)
    shut.begin()
    assert not shut.is_open
    assert not shut.is_mine("/leaklab")
    assert not shut.admits({"authorization": f"Bearer {token}"}, "127.0.0.1")
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert f"stays shut: a token that could be guessed: {len(token)} characters; give" in said[0]


def test_the_folder_is_private(tmp_path: Path) -> None:
    made = store.service_folder(str(tmp_path / "made"))
    assert made.stat().st_mode & 0o777 == 0o700
    (tmp_path / "open").mkdir(mode=0o755)
    with pytest.raises(LeaklabError, match="not a private folder"):
        store.service_folder(str(tmp_path / "open"))
    (tmp_path / "link").symlink_to(made)
    with pytest.raises(LeaklabError, match="not a private folder"):
        store.service_folder(str(tmp_path / "link"))


def test_one_look_at_a_time(tmp_path: Path) -> None:
    pid = os.getpid()
    store.write(left(tmp_path, "worker", pid), living(pid))
    assert store.begin_look(tmp_path, pid)
    assert not store.begin_look(tmp_path, pid)
    store.end_look(tmp_path, store.look_asked_for(tmp_path))
    assert store.begin_look(tmp_path, 4_194_000)
    # That worker has gone, and will never end its look.
    assert store.begin_look(tmp_path, pid)
    # The clock was set back by an hour since.
    os.utime(tmp_path / "look.lock", (time.time() + 3600,) * 2)
    assert store.begin_look(tmp_path, pid)


def test_a_look_that_is_answered_is_over(tmp_path: Path) -> None:
    pid, other = os.getpid(), os.getppid()
    for one in (pid, other):
        store.write(left(tmp_path, "worker", one), living(one))
    for state in ("complete", "failed", "refused"):
        assert store.begin_look(tmp_path, pid)
        assert store.read(left(tmp_path, "graph", pid)) == {"state": "asked"}
        first = store.look_asked_for(tmp_path)
        store.write(left(tmp_path, "graph", pid), {"state": "walking"})
        assert not store.begin_look(tmp_path, other)
        store.write(left(tmp_path, "graph", pid), {"state": state})
        assert store.begin_look(tmp_path, other)
        # That it is over comes to its worker's ears only now.
        store.end_look(tmp_path, first)
        assert not store.begin_look(tmp_path, pid)
        store.write(left(tmp_path, "graph", other), {"state": state})


def test_who_finds_the_folder_locked_for_a_moment_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker whose look is answered, and over, takes it to say so."""
    waits: list[float] = []
    with contextlib.ExitStack() as ending:
        assert ending.enter_context(store.alone(tmp_path))

        def waited(seconds: float) -> None:
            waits.append(seconds)
            ending.close()

        monkeypatch.setattr(store.time, "sleep", waited)
        assert store.begin_look(tmp_path, os.getpid())
    assert len(waits) == 1
    with store.alone(tmp_path):  # of one that does not end nobody waits for long
        assert not store.begin_look(tmp_path, os.getpid())
    assert 0 < sum(waits) < 0.5


def test_of_many_that_ask_at_once_one_is_heard(tmp_path: Path) -> None:
    pid = os.getpid()
    store.write(left(tmp_path, "worker", pid), living(pid))
    together = threading.Barrier(4)

    def ask(_: int) -> bool:
        together.wait(10)
        return store.begin_look(tmp_path, pid)

    with ThreadPoolExecutor(4) as askers:
        for _ in range(50):
            assert sum(askers.map(ask, range(4))) == 1
            store.write(left(tmp_path, "graph", pid), {"state": "complete"})


def door_of(folder: Path, program: str) -> subprocess.Popen[str]:
    """A program with a door in ``folder`` that runs ``program`` for each line it is told."""
    text = f"import sys, leaklab.door\nleaklab.door.open({str(folder)!r})\n"
    text += "print('open', flush=True)\n"
    text += f"for line in sys.stdin:\n    {program}\n    print('done', flush=True)\n"
    worker = subprocess.Popen(
        [sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None and worker.stdout.readline() == "open\n"
    return worker


def look_at(folder: Path, pid: int) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "leaklab.door", str(folder), "graph", str(pid)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_full_disk_fails_a_look_and_holds_nobody(tmp_path: Path) -> None:
    # No file may grow beyond two pages: the graph does not fit, what is said of it does.
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))"
    with door_of(tmp_path / "door", full) as worker:
        assert worker.stdin is not None and worker.stdout is not None
        worker.stdin.write("fill\n")
        worker.stdin.flush()
        assert worker.stdout.readline() == "done\n"
        said, problem = look_at(tmp_path / "door", worker.pid).communicate(timeout=100)
        assert json.loads(said)["state"] == "failed", problem
        assert store.read(left(tmp_path / "door", "worker", worker.pid))["pid"] == worker.pid
        worker.stdin.close()
        assert worker.wait(20) == 0


def test_whoever_asks_a_worker_that_dies_is_told_so_at_once(tmp_path: Path) -> None:
    with door_of(tmp_path / "door", "pass") as worker:
        os.kill(worker.pid, signal.SIGSTOP)  # so that it never answers
        asking = look_at(tmp_path / "door", worker.pid)
        request = left(tmp_path / "door", "request", worker.pid)
        until = time.monotonic() + 60
        while not request.exists() and time.monotonic() < until:
            time.sleep(0.02)  # another process's file
        worker.kill()
        worker.wait(20)
        _, problem = asking.communicate(timeout=60)
    assert (
        problem == f"leaklab: worker {worker.pid} has ended before it answered; ask another one\n"
    )
    assert not list((tmp_path / "door").glob(f"*-{worker.pid}-*"))


def test_workers_are_judged_by_what_they_have_left(tmp_path: Path) -> None:
    series = {
        "seconds": [10.0 * k for k in range(60)],
        "values": [5e7 + 4e6 * k for k in range(60)],
        "peak": 5e7 + 4e6 * 59,
    }
    pid = os.getpid()
    content = living(pid) | {
        "age_seconds": 600.0,
        "held_seconds": 0.0,
        "spent_seconds": 0.6,
        "series": {"rss_bytes": series},
    }
    store.write(left(tmp_path, "worker", pid), content)
    # Another process has got the number of a worker that is gone.
    store.write(left(tmp_path, "worker", 1), {**content, "pid": 1, "started_ticks": -1})
    said = status(tmp_path)
    assert said["verdict"] == "leak"
    (worker,) = said["workers"]
    assert worker["overhead_ratio"] == pytest.approx(0.001)
    (resource,) = worker["resources"]
    assert resource["rate_low_per_second"] <= 4e5 <= resource["rate_high_per_second"]
    cache = {"path": "app.CACHE", "type": "Cache", "attribute": "data", "held_count": 200,
             "bound_count": 1000, "share": 0.9, "full_at": time.monotonic() + 100}  # fmt: skip
    # What fills decides nothing, until it should be full: what grows on then leaks elsewhere.
    for late, verdict in ((0.0, "inconclusive"), (200.0, "leak")):
        filling = [{**cache, "full_at": cache["full_at"] - late}]
        store.write(left(tmp_path, "graph", pid), {"holders": [], "filling": filling})
        (worker,) = status(tmp_path)["workers"]
        assert worker["verdict"] == worker["resources"][0]["verdict"] == verdict
        said = "inside app.CACHE.data (Cache), which holds 200 of 1,000 at most"
        assert (said in worker["resources"][0]["reason"]) == (verdict == "inconclusive")
    assert not (left(tmp_path, "worker", 1)).exists()


GROWING = [5e7 + 4e6 * k for k in range(60)]
STILL = [12.0] * 60
YOUNG = GROWING[:20]  # what fills up looks so at first


@pytest.mark.parametrize(
    ("figures", "verdict"),
    [
        ({"rss_bytes": YOUNG, "fd_count": STILL}, "inconclusive"),
        ({"rss_bytes": YOUNG, "fd_count": [12.0 + 5 * k for k in range(60)]}, "leak"),
        ({"rss_bytes": [5e7] * 3, "fd_count": STILL}, "inconclusive"),
        ({"rss_bytes": [5e7] * 60, "fd_count": STILL, "task_count": [1.0]}, "bounded"),
        ({"rss_bytes": GROWING, "fd_count": [12.0]}, "leak"),
        ({"fd_count": [12.0]}, "inconclusive"),
        ({}, "inconclusive"),
    ],
)
def test_one_bounded_resource_makes_no_worker_bounded(
    tmp_path: Path, figures: dict[str, list[float]], verdict: str
) -> None:
    pid = os.getpid()
    series = {
        name: {"seconds": [10.0 * k for k in range(len(y))], "values": y, "peak": max(y)}
        for name, y in figures.items()
    }
    content = living(pid) | {"series": series}
    store.write(left(tmp_path, "worker", pid), content)
    said = status(tmp_path)
    assert said["workers"][0]["verdict"] == said["verdict"] == verdict, said


def test_a_folder_without_workers_says_so_and_how_to_ask_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask([str(tmp_path)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["workers"] == []
    assert said["reason"] == "no worker of the service is alive"
    assert ask(["--help"]) == 0
    assert "leaklab.door FOLDER [graph PID]" in capsys.readouterr().out


def test_the_first_figures_count_the_threads_of_the_service(tmp_path: Path) -> None:
    store.make(tmp_path / "door")
    there = threading.active_count()
    keeper = Keeper(tmp_path / "door", figure_seconds=60.0)
    try:
        (content,) = store.workers(tmp_path / "door").values()
        assert content["series"]["thread_count"]["values"] == [there]
        assert threading.active_count() == there + 1
        assert figures_now()["thread_count"] == there
    finally:
        keeper.close()


def test_a_program_without_http_is_asked_through_its_folder(tmp_path: Path) -> None:
    program = (
        "import sys, functools, leaklab.door\n"
        "class Kept: pass\n"
        "HELD = [Kept() for _ in range(5000)]\n"
        "@functools.lru_cache(maxsize=1000)\n"
        "def page(number): return bytearray(10_000)\n"
        f"leaklab.door.open({str(tmp_path / 'door')!r})\n"
        "for _ in sys.stdin:\n"
        "    for _ in range(100): page(page.cache_info().currsize)\n"
        "    print('filled', flush=True)\n"
        "assert 'pandas' not in sys.modules and 'numpy' not in sys.modules\n"
    )
    looks = []
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdin is not None
        words = ["-m", "leaklab.door", str(tmp_path / "door"), "graph", str(worker.pid)]
        for _ in range(2):
            worker.stdin.write("fill\n")
            worker.stdin.flush()
            assert worker.stdout.readline() == "filled\n"
            asked = subprocess.run(
                [sys.executable, *words], capture_output=True, text=True, timeout=60, check=False
            )
            assert asked.returncode == 0, asked.stderr
            looks.append(json.loads(asked.stdout))
        worker.stdin.close()
        assert worker.wait(20) == 0
    assert any(row["path"].startswith("__main__.HELD") for row in looks[0]["holders"])
    assert looks[0]["filling"] == []
    assert looks[0]["seconds_since"] is None and 0 < looks[1]["seconds_since"] < 60
    (cache,) = looks[1]["filling"]
    assert (cache["path"], cache["held_count"], cache["bound_count"]) == (
        "__main__.page",
        200,
        1000,
    )
    assert 0.9 < cache["share"] < 1.1


def analyse_by(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a script of the shell take the place of the analysis, and nobody that of the walker."""
    analysis = folder / "analysis"
    analysis.write_text(f"#!/bin/sh\n{script}\n")
    analysis.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(analysis))
    walker = {"pause_seconds": 0.001, "pid": 4_194_000}
    monkeypatch.setattr(graph, "dump_by_fork", lambda *_, **__: walker)


def test_figures_are_taken_while_a_look_is_analysed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: queue.Queue[str] = queue.Queue()
    result = left(tmp_path, "graph", os.getpid())

    class Watched(Keeper):
        def figures(self) -> None:
            super().figures()
            taken.put(store.read(result).get("state", ""))

    os.mkfifo(tmp_path / "go")
    analyse_by(f"read line < {tmp_path / 'go'}", tmp_path, monkeypatch)
    keeper = Watched(tmp_path, figure_seconds=0.02)
    assert taken.get(timeout=10) == ""
    store.write(left(tmp_path, "request", keeper.pid), {})
    while taken.get(timeout=10) != "walking":
        pass
    assert [taken.get(timeout=10) for _ in range(3)] == ["walking"] * 3
    keeper.close()


def test_an_analysis_that_ends_without_an_answer_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    analyse_by("exit 3", tmp_path, monkeypatch)
    keeper = Keeper(tmp_path, figure_seconds=0.02)
    assert store.begin_look(tmp_path, keeper.pid)
    until = time.monotonic() + 10
    while not store.is_final(found := store.read(left(tmp_path, "graph", keeper.pid))):
        assert time.monotonic() < until, found
        time.sleep(0.01)  # what is asked for is seen in a file alone
    keeper.close()
    assert found == {
        "state": "failed",
        "reason": "the analysis ended with status 3 and left no answer; try again later",
    }


def test_what_was_not_there_at_the_look_before_has_grown_from_nothing() -> None:
    import pandas as pd

    from leaklab.door.analysis import _holders

    paths = pd.DataFrame(
        {
            "tree": ["path", "path", "path", "dominator"],
            "kind": "module",
            "fingerprint": ["a", "b", "a", "a"],
            "path": ["app.OLD", "app.NEW", "app.OLD", "app.OLD"],
            "type": "list",
            "count": 1,
            # Two of them cannot be told apart: they are one.
            "retained_bytes": [300, 7000, 200, 500],
        }
    )
    growth = {row["path"]: row["growth_bytes"] for row in _holders(paths, {"a": [1, 400]})}
    assert growth == {"app.OLD": 100, "app.NEW": 7000}
    assert len(_holders(paths, None)) == 2
    assert {row["growth_bytes"] for row in _holders(paths, None)} == {None}
