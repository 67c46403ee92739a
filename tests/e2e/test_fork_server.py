"""Processes that are forked: what they see, how they end, and with whom."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from leaklab.jobs import fork_server

LIMIT_SECONDS = 60.0


def wait_until_ended(pids: list[int]) -> None:
    """Wait until none of them runs; what nobody has reaped yet has ended."""
    deadline = time.monotonic() + LIMIT_SECONDS
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                assert time.monotonic() < deadline
                time.sleep(0.02)


@pytest.fixture(autouse=True)
def _server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    fork_server._SERVER.close()  # one that was started with this path


def test_a_process_has_its_callers_folder_and_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value, folder in (("one", tmp_path / "a"), ("two", tmp_path / "b")):
        folder.mkdir()
        monkeypatch.chdir(folder)
        monkeypatch.setenv("FORKED", value)
        outcome = fork_server.call(
            "forked_calls:facts", ["FORKED", "colorsys"], imports=["colorsys", "no_such_module"],
            time_limit_seconds=LIMIT_SECONDS,
        )  # fmt: skip
        assert outcome.status == 0
        assert outcome.result == {
            "folder": str(folder),
            "variables": [value, None],
            "interrupt": True,
            "loaded": [False, True],
        }


@pytest.mark.parametrize(
    ("function", "status", "said"),
    [("kill_itself", -9, "a last word"), ("fail", 1, "ValueError: from inside")],
)
def test_one_that_fails_says_how(function: str, status: int, said: str) -> None:
    outcome = fork_server.call(f"forked_calls:{function}", None, time_limit_seconds=LIMIT_SECONDS)
    assert (outcome.result, outcome.status, outcome.said) == (None, status, said)


def test_one_that_takes_too_long_is_ended_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fork_server, "_STOP_SECONDS", 0.5)
    file = tmp_path / "pids"
    for limit_seconds in (3.0, 30.0):  # a busy machine takes its time for the start
        outcome = fork_server.call(
            "forked_calls:wait_for_ever", str(file), time_limit_seconds=limit_seconds
        )
        assert outcome.timed_out
        if file.exists():
            break
    wait_until_ended([int(pid) for pid in file.read_text().split()])


def test_all_ends_with_the_one_that_asked(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    program = (
        "from leaklab.jobs.fork_server import call\n"
        f"call('forked_calls:wait_until_told', {str(file)!r}, time_limit_seconds=600)"
    )
    asking = subprocess.Popen([sys.executable, "-c", program])
    deadline = time.monotonic() + LIMIT_SECONDS
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    worker = psutil.Process(int(file.read_text()))
    server = worker.parent()
    assert server is not None
    asking.kill()
    asking.wait()
    wait_until_ended([worker.pid, server.pid])
