"""Ways into a running process: what is tried after what, and that the target goes on at once."""

import os
import select
import shutil
import socket
import subprocess
import sys

import pytest
from interpreters import every_version, interpreter_or_skip
from memray.commands import attach as way_in

from leaklab.recorder import attach


@pytest.fixture(autouse=True)
def _usable_debugger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the debugger of this machine can do: that is tried elsewhere."""
    monkeypatch.setattr(attach, "why_unusable", lambda name: None)


@pytest.fixture
def asked(monkeypatch):
    """The pids and scripts that sys.remote_exec was called with, on whatever version."""
    calls = []
    monkeypatch.setattr(sys, "remote_exec", lambda *call: calls.append(call), raising=False)
    return calls


def connect_by(methods):
    """Stand in for memray's way in: ``methods`` tells what each says, None for one that works."""
    tried = []

    def inject(method, pid, port, verbose, folder):
        tried.append(method)
        why = methods[method]
        if why is None:
            socket.create_connection(("127.0.0.1", port)).close()
        return why or None

    return inject, tried


@pytest.mark.parametrize(
    ("remote_exec", "debugger", "tried", "why"),
    [
        (None, None, ["sys.remote_exec"], None),
        # Another version of Python, or no right to.
        ("Can't send\ncommands", None, ["sys.remote_exec", "gdb"], None),
        # The main thread waits in C, and nobody ever connects.
        ("", None, ["sys.remote_exec", "gdb"], None),
        (
            "",
            "no permission",
            ["sys.remote_exec", "gdb"],
            "sys.remote_exec: the process did not take the probe in: it may be stopped or waiting; "
            "gdb: no permission",
        ),
    ],
)
def test_a_debugger_is_tried_where_remote_exec_does_not_get_in(
    monkeypatch, asked, remote_exec, debugger, tried, why
):
    inject, seen = connect_by({"sys.remote_exec": remote_exec, "gdb": debugger})
    monkeypatch.setattr(way_in, "inject", inject)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(attach, "_REMOTE_EXEC_SECONDS", 0.05)
    assert attach.attach(4711, "/nowhere") == why
    assert seen == tried
    # What the target has not taken up must not be looked for when it does, its file is gone.
    assert asked == ([(4711, os.devnull)] if len(tried) > 1 else [])


def test_without_any_way_in_it_is_said(monkeypatch):
    monkeypatch.delattr(sys, "remote_exec", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "install gdb" in attach.attach(4711, "/nowhere")


@every_version
def test_the_thread_that_brings_the_probe_in_goes_on(version, tmp_path):
    # By sys.remote_exec that is the target's main thread.
    python = interpreter_or_skip(version)
    channel = tmp_path / "c"
    folder = str(attach.PROBE_FOLDER)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as recorder:
        recorder.bind(str(channel))
        recorder.listen()
        # The payload asks, and this recorder answers only after the target has gone on.
        target = subprocess.Popen(
            [python, "-c", attach._PAYLOAD.format(folder=folder, channel=str(channel)) + _GOES_ON],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with target:
            recorder.settimeout(30)
            line, _ = recorder.accept()
            with line:
                line.settimeout(30)
                assert b'"hello"' in line.recv(1 << 16)
                assert select.select([target.stdout], [], [], 30)[0]
                assert target.stdout.readline() == "on\n"
                line.send(b"1\tdetach")
            target.stdin.close()
    assert target.returncode == 0


_GOES_ON = """
print("on", flush=True)
sys.stdin.read()
"""
