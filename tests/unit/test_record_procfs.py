"""Figures of a process from /proc, and the end of a started one."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile

import pytest

from leaklab.errors import LeaklabError
from leaklab.recorder import procfs
from leaklab.recorder.processes.child import Child
from leaklab.recorder.processes.limits import limits_of

# Says that it is ready, and then does what it is told.
READY = "import os, signal, sys, time\n{setup}\nprint('ready', flush=True)\ntime.sleep(60)"


def started(setup: str = "") -> tuple[Child, int]:
    """A child that is ready, and the reading end of its output."""
    read, write = os.pipe()
    child = Child(
        [sys.executable, "-c", READY.format(setup=setup)],
        env=os.environ,
        cwd=None,
        stdin=subprocess.DEVNULL,
        stdout=write,
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    said = b""
    while not said.endswith(b"\n"):
        said += os.read(read, 6)
    assert said == b"ready\n"
    return child, read


def ended(child: Child, read: int) -> int:
    """Wait for its end: its output is closed then."""
    assert os.read(read, 1) == b""
    os.close(read)
    status = None
    while status is None:
        status = child.poll()
    return status


def test_figures_of_this_process() -> None:
    files = procfs.ProcessFiles(os.getpid())
    try:
        with socket.socket(), tempfile.TemporaryFile():
            before = files.basic()
            sockets = files.socket_count()
            with socket.socket(), tempfile.TemporaryFile():
                after = files.basic()
                assert files.socket_count() == sockets + 1
        assert after["fd_count"] == before["fd_count"] + 2
        assert after["rss_bytes"] > 10_000_000
        assert after["thread_count"] >= 1
        assert 0 < files.uss_bytes() <= files.status()["rss_peak_bytes"]
        spent = files.cpu_seconds()
        while files.cpu_seconds() == spent:
            sum(range(10_000))
    finally:
        files.close()


def test_the_limit_on_descriptors_is_that_which_the_process_has_now() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        assert limits_of(os.getpid())["descriptor_limit"] == soft
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
        assert limits_of(os.getpid())["descriptor_limit"] == soft - 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_process_that_is_gone_is_said_to_be() -> None:
    child, read = started()
    files = procfs.ProcessFiles(child.pid)
    assert procfs.parent_pid(child.pid) == os.getpid()
    assert child.pid in procfs.child_pids(os.getpid())
    assert procfs.command_line(child.pid)[0] == sys.executable
    assert procfs.session_of(child.pid) == child.pid
    child.end_now([])
    os.close(read)
    with pytest.raises(procfs.ProcessGoneError):
        files.basic()
    files.close()
    with pytest.raises(procfs.ProcessGoneError):
        procfs.ProcessFiles(child.pid)
    assert procfs.parent_pid(child.pid) is None
    assert procfs.command_line(child.pid) == []
    assert procfs.environment(child.pid) == b""


def test_a_stop_begins_softly() -> None:
    child, read = started()
    child.begin_stop(now=0.0)
    assert child.stopping
    assert ended(child, read) == -signal.SIGINT


def test_a_program_that_ignores_interrupts_is_terminated() -> None:
    child, read = started("signal.signal(signal.SIGINT, signal.SIG_IGN)")
    child.begin_stop(now=0.0)
    assert ended(child, read) == -signal.SIGTERM


def test_a_stop_gets_firmer_when_its_time_is_up() -> None:
    stubborn = "for n in (signal.SIGINT, signal.SIGTERM): signal.signal(n, lambda *_: None)"
    child, read = started(stubborn)
    child.begin_stop(now=0.0)
    child.continue_stop(now=1.0)  # too early for more
    assert not child.given_up
    child.continue_stop(now=10.0)
    assert not child.given_up
    child.continue_stop(now=20.0)
    assert child.given_up
    assert ended(child, read) == -signal.SIGKILL


def test_a_number_that_was_given_away_is_not_signalled() -> None:
    child, read = started()
    child.end_now([])
    os.close(read)
    other, read = started()
    child.pid = other.pid  # as the kernel may give it away once it was collected
    child.begin_stop(now=0.0)
    child.end_now([])
    assert other.poll() is None
    other.end_now([])
    assert ended(other, read) == -signal.SIGKILL


def test_what_its_main_process_leaves_in_its_group_is_ended() -> None:
    child, read = started("os.fork() and os._exit(0)")
    while child.poll() is None:
        pass
    child.end_now([])
    assert os.read(read, 1) == b""
    os.close(read)


def test_what_cannot_be_started_is_one_line() -> None:
    null = subprocess.DEVNULL
    with pytest.raises(LeaklabError, match="cannot start: /nowhere/program"):
        Child(["/nowhere/program"], env={}, cwd=None, stdin=null, stdout=null, stderr=null)


def test_a_peak_starts_anew() -> None:
    files = procfs.ProcessFiles(os.getpid())
    try:
        block = bytearray(60_000_000)
        high = files.status()["rss_peak_bytes"]
        del block
        if not files.reset_peak():
            pytest.skip("the kernel does not let the peak start anew")
        assert files.status()["rss_peak_bytes"] <= high - 40_000_000
    finally:
        files.close()
