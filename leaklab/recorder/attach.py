"""Bring the probe into a running process; run as a program of its own, since it takes seconds.

Uses memray's ways in: sys.remote_exec where the interpreter has it (3.14), else a debugger. Both
have the target execute what it then reads from a loopback socket, the debugger in a thread of its
own, sys.remote_exec while the target's main thread waits for it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
from pathlib import Path

from leaklab.recorder.debugger import why_unusable
from leaklab.scratch import Scratch

# A debugger may have to wait for the target to allocate something.
_CONNECT_SECONDS = 30.0
# A main thread that runs Python does what sys.remote_exec asks for at once. One that waits in C, a
# join or a lock, does not, while its other threads work: the debugger needs any of them.
_REMOTE_EXEC_SECONDS = 5.0

PROBE_FOLDER = Path(__file__).resolve().parent.parent / "probe"

_PAYLOAD = """
import os, sys
if "_leaklab_probe" not in sys.modules:
    import importlib.util
    spec = importlib.util.spec_from_file_location(
        "_leaklab_probe", os.path.join({folder!r}, "__init__.py"),
        submodule_search_locations=[{folder!r}])
    sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[spec.name])
import _thread
from _leaklab_probe.attached import stay
_thread.start_new_thread(stay, ({channel!r},))
"""


def attach(pid: int, channel: str) -> str | None:
    """Let ``pid`` connect to ``channel``; returns why it could not, in one line."""
    problems = []
    if hasattr(sys, "remote_exec"):
        problems.append(_attach_by("sys.remote_exec", pid, channel, _REMOTE_EXEC_SECONDS))
        if problems[-1] is None:
            return None
        with contextlib.suppress(Exception):
            # What was asked for may still wait, and its file goes now: an empty one instead.
            sys.remote_exec(pid, os.devnull)
    if shutil.which("gdb"):
        problems.append(why_unusable("gdb") or _attach_by("gdb", pid, channel, _CONNECT_SECONDS))
        if problems[-1] is None:
            return None
    else:
        problems.append("no debugger to attach with: install gdb, or run both on Python 3.14")
    return "; ".join(filter(None, problems))


def _attach_by(method: str, pid: int, channel: str, connect_seconds: float) -> str | None:
    from memray.commands import attach as way_in

    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        Scratch("attach") as scratch,
    ):
        server.settimeout(connect_seconds)
        why = way_in.inject(method, pid, server.getsockname()[1], False, str(scratch))
        if why is not None:
            return f"{method}: {' '.join(why.split())}"
        try:
            client, _ = server.accept()
        except TimeoutError:
            return f"{method}: the process did not take the probe in: it may be stopped or waiting"
        with client:
            payload = _PAYLOAD.format(folder=str(PROBE_FOLDER), channel=channel)
            client.sendall(payload.encode())
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
