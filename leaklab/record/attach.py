"""Bring the probe into a running process; run as a program of its own, since it takes seconds.

Uses memray's way in: sys.remote_exec where the interpreter has it (3.14), else a debugger. Both
have the target execute, in a thread of its own, what it then reads from a loopback socket.
"""

from __future__ import annotations

import shutil
import socket
import sys
from pathlib import Path

from leaklab.scratch import Scratch

_CONNECT_SECONDS = 30.0

_PAYLOAD = """
import os, sys
if "_leaklab_probe" not in sys.modules:
    import importlib.util
    spec = importlib.util.spec_from_file_location(
        "_leaklab_probe", os.path.join({folder!r}, "__init__.py"),
        submodule_search_locations=[{folder!r}])
    sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[spec.name])
from _leaklab_probe.attached import stay
stay({channel!r})
"""


def attach(pid: int, channel: str) -> str | None:
    """Let ``pid`` connect to ``channel``; returns why it could not, in one line."""
    from memray.commands import attach as way_in

    if hasattr(sys, "remote_exec") and way_in.debugger_available("sys.remote_exec"):
        method = "sys.remote_exec"
    elif shutil.which("gdb"):
        method = "gdb"
    else:
        return "no debugger to attach with: install gdb, or run both on Python 3.14"
    folder = str(Path(__file__).resolve().parent.parent / "probe")
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        Scratch("attach") as scratch,
    ):
        server.settimeout(_CONNECT_SECONDS)
        why = way_in.inject(method, pid, server.getsockname()[1], False, str(scratch))
        if why is not None:
            return " ".join(why.split())
        try:
            client, _ = server.accept()
        except TimeoutError:
            return "the process did not take the probe in: it may be stopped or not Python"
        with client:
            client.sendall(_PAYLOAD.format(folder=folder, channel=channel).encode())
    return None


def main() -> int:
    """Attach to argv[1] for the channel argv[2]; prints the reason and returns 1 on failure."""
    try:
        why = attach(int(sys.argv[1]), sys.argv[2])
    except Exception as problem:  # memray's interface is its own and may change
        why = f"{type(problem).__name__}: {problem}"
    if why is not None:
        print(f"cannot attach: {why}")
    return int(why is not None)


if __name__ == "__main__":
    sys.exit(main())
