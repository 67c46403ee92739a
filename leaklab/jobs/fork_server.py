"""Processes that begin with everything imported.

Each recording and each notebook has a process of its own, and importing pandas, pyarrow and
matplotlib takes longer than many a case to record. So one process imports them once and forks,
started by the first `call`. It ends with the process that started it, and what it has forked
ends with it.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, Any

from leaklab.end_signals import AskedToEndError

_PR_SET_PDEATHSIG = 1
_MESSAGE_BYTES = 1 << 20
_STOP_SECONDS = 20.0
_TAIL_BYTES = 4096
_PROGRAM = "import sys; from leaklab.jobs.fork_server import main; sys.exit(main(sys.argv[1]))"


@dataclass(frozen=True)
class Outcome:
    """How a call ended. ``result``: what the function returned, None where it did not.

    ``status``: exit status of the process, negative for a signal; None when nobody knows.
    ``said``: the last line it wrote, or why it wrote none.
    """

    result: Any
    status: int | None
    said: str
    timed_out: bool = False


def call(
    function: str, argument: Any, *, imports: Sequence[str] = (), time_limit_seconds: float
) -> Outcome:
    """Call ``"module:function"`` with ``argument`` in a process of its own, and wait for it.

    Argument and result go as JSON; of what it prints the last line is kept. ``imports`` are modules
    that this process and those after it find imported. One that takes longer than
    ``time_limit_seconds`` is stopped, and so is one whose caller is interrupted.
    """
    request = {
        "function": function,
        "argument": argument,
        "imports": list(imports),
        "environment": dict(os.environ),
        "folder": os.getcwd(),  # noqa: PTH109 (as text)
    }
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            _SERVER.send(json.dumps(request).encode(), theirs)
        answers = _Answers(ours)
        try:
            answers.wait(time_limit_seconds)
        except TimeoutError:
            _stop(answers)
            said = f"stopped after {time_limit_seconds:g} seconds"
            return Outcome(None, None, said, timed_out=True)
        except BaseException:
            _stop(answers)
            raise
    found = answers.found
    said = found.get("said") or "it said nothing"
    return Outcome(found.get("result"), found.get("status"), said)


class _Answers:
    """What comes back: ``pid``, then ``result``, then ``status`` and ``said``."""

    def __init__(self, connection: socket.socket) -> None:
        self.found: dict[str, Any] = {}
        self._connection = connection
        self._rest = b""

    def wait(self, limit_seconds: float) -> None:
        """Wait until the process has ended; raises TimeoutError when it does not."""
        deadline = time.monotonic() + limit_seconds
        while "status" not in self.found:
            self._connection.settimeout(max(deadline - time.monotonic(), 1e-6))
            block = self._connection.recv(1 << 16)
            if not block:
                return  # the server is gone
            *lines, self._rest = (self._rest + block).split(b"\n")
            for line in lines:
                self.found.update(json.loads(line))


def _stop(answers: _Answers) -> None:
    """End a process: politely, so that its run is closed, then with all it has started."""
    import psutil

    pid = answers.found.get("pid")
    if pid is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    try:
        answers.wait(_STOP_SECONDS)
    except TimeoutError:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            for one in (*process.children(recursive=True), process):
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
        with contextlib.suppress(TimeoutError):
            answers.wait(_STOP_SECONDS)


class _Server:
    """The process that forks, seen from the one that has started it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def send(self, request: bytes, connection: socket.socket) -> None:
        """Hand over a request and the end of its connection; starts the process if need be."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._start()
            assert self._control is not None
            socket.send_fds(self._control, [request], [connection.fileno()])

    def _start(self) -> None:
        self.close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MESSAGE_BYTES)
        self._control = ours

    def close(self) -> None:
        """Let it end: it does when nobody can ask it any more, and what it has forked with it."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.wait()
            self._process = None


_SERVER = _Server()
atexit.register(_SERVER.close)


@contextlib.contextmanager
def threads_of_calls(count: int, name: str) -> Iterator[ThreadPoolExecutor]:
    """Threads that each wait for a `call`; left when all have ended.

    Who presses Ctrl-C has told every process in the terminal. Other signals come to this one
    alone: then it is for this one to end what runs, as it would end without it.
    """
    pool = ThreadPoolExecutor(count, thread_name_prefix=name)
    try:
        yield pool
    except (AskedToEndError, GeneratorExit):
        pool.shutdown(wait=False, cancel_futures=True)  # first, or the next one is begun
        _SERVER.close()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class _Forked:
    connection: socket.socket
    output: IO[bytes]


def main(descriptor: str) -> int:
    """Serve on an inherited socket until nobody can ask any more."""
    os.set_inheritable(int(descriptor), False)
    return serve(socket.socket(fileno=int(descriptor)))


def serve(control: socket.socket) -> int:
    """Fork for every request; returns only in what was forked, with its exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for those that work
    signal.signal(signal.SIGCHLD, lambda *_: None)
    ended, ending = socket.socketpair()
    ended.setblocking(False)
    ending.setblocking(False)
    signal.set_wakeup_fd(ending.fileno(), warn_on_full_buffer=False)
    forked: dict[int, _Forked] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(ended, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if ended in ready:
                ended.recv(_TAIL_BYTES)
                _reap(forked)
            if control not in ready:
                continue
            message, descriptors, _, _ = socket.recv_fds(control, _MESSAGE_BYTES, 1)
            if not message:
                return 0
            request = json.loads(message)
            one = _Forked(socket.socket(fileno=descriptors[0]), tempfile.TemporaryFile())  # noqa: SIM115
            _import(request["imports"])
            pid = _fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                return _work(request, one)
            forked[pid] = one
            _answer(one.connection, {"pid": pid})


def _import(modules: Sequence[str]) -> None:
    if sys.platform == "darwin":
        return  # Apple's frameworks, once loaded, do not work in a fork
    for module in modules:
        with contextlib.suppress(Exception):  # it is for the one that needs it to say so
            importlib.import_module(module)
    gc.freeze()


def _fork() -> int:
    with warnings.catch_warnings():
        # The only other threads are those of numpy's BLAS, which stops them before a fork.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _work(request: dict[str, Any], one: _Forked) -> int:
    _end_with_parent()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(one.output.fileno(), 1)
    os.dup2(one.output.fileno(), 2)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    module, _, name = request["function"].partition(":")
    result = getattr(importlib.import_module(module), name)(request["argument"])
    _answer(one.connection, {"result": result})
    return 0


def _reap(forked: dict[int, _Forked]) -> None:
    for pid in list(forked):
        found, status = os.waitpid(pid, os.WNOHANG)
        if not found:
            continue
        one = forked.pop(pid)
        with one.connection, one.output as output:
            output.seek(max(0, output.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = output.read().decode("utf-8", "replace").strip().splitlines()
            said = lines[-1] if lines else ""
            _answer(one.connection, {"status": os.waitstatus_to_exitcode(status), "said": said})


def _answer(connection: socket.socket, found: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # whoever asked has gone
        connection.sendall(json.dumps(found, default=str).encode() + b"\n")


def _end_with_parent() -> None:
    """Have the kernel send SIGTERM, which ends a recording in order, when the parent is gone."""
    parent = os.getppid()
    with contextlib.suppress(OSError, AttributeError):  # Linux only
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(1)
