"""The target's side of the live memray stream: start it, make its snapshots exact, end it.

Only the explain pass imports this module, because it imports memray.
"""

import contextlib
import logging
import os
import socket
import stat
import sys
import threading
from pathlib import Path
from typing import Iterator, List, Optional

import memray
from memray._memray import set_log_level

from . import descriptors
from .marker import BASE_BYTES, marker_bytes
from .unpatched import Socket, sleep

# memray's sink sends a buffer when PIPE_BUF bytes have come together. A traced allocation or free
# takes two bytes at the very least, so this many pairs push the marker out for certain.
_FLUSH_PAIRS = 1024 if sys.platform == "darwin" else 1100

# Linux's struct tcp_info: bytes that were sent, those of them sent again, and those yet to be sent.
_INFO_SIZE = 216
_SENT, _SENT_AGAIN, _TO_BE_SENT = slice(200, 208), slice(208, 216), slice(144, 148)

# The tracer goes over all threads to put its hooks on and to take them off, and at each the
# interpreter calls every audit hook. In one written in Python, as ours is and a target's may be,
# another thread gets its turn when it has waited long enough. If it ends then, the tracer reads
# what was freed, and the target dies by SIGSEGV (bloomberg/memray issue 999). So none gets its turn
# within this time; a busy machine was seen to take 0.2 s from the call to the last of the threads.
_LONG_SECONDS = 0.5

_tracker: Optional[memray.Tracker] = None
# The stream's descriptor, and the inode that tells whether it still is the stream.
_stream = (-1, 0)
_marker: Optional[bytearray] = None


def free_port() -> int:
    """Return a loopback port nobody listens on at the moment."""
    probe = Socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
    finally:
        probe.close()


def start(port: int, native: bool = False, python_allocators: bool = True) -> None:
    """Trace this process and serve the stream on ``port``; returns once a reader is connected.

    Raises whatever memray raises, OSError when the port was taken meanwhile.
    """
    global _tracker
    _forget_inherited_tracker()
    # Where malloc is found in a program of fixed addresses, as Debian's Python is, memray says so.
    set_log_level(logging.ERROR)
    tracker = memray.Tracker(
        destination=memray.SocketDestination(server_port=port),
        native_traces=native,
        trace_python_allocators=python_allocators,
    )
    _send_at_once(port)
    with _threads_kept():
        tracker.__enter__()
    _tracker = tracker
    descriptors.own(number for number in _open_numbers() if _is_of_tracer(number, port))


def unblock(port: int) -> None:
    """Let a ``start`` that still waits for its reader return: the recorder is gone."""
    line = Socket(socket.AF_INET, socket.SOCK_STREAM)
    with contextlib.suppress(OSError), contextlib.closing(line):
        line.settimeout(1.0)
        line.connect(("127.0.0.1", port))


def barrier(number: int) -> Optional[int]:
    """Send everything this process did so far, and marker ``number`` after it.

    Returns the place in the stream by which it was sent, in bytes; None where the kernel tells
    none, or the target has closed the stream.
    """
    # Where the target profiles itself, no marker is told by its stack: of one size it is no growth.
    allocate_marker(number if sys.getprofile() is None else 0)
    for _ in range(_FLUSH_PAIRS):
        bytearray(BASE_BYTES)
    return _sent_bytes()


def _sent_bytes() -> Optional[int]:
    number, inode = _stream
    try:
        if os.fstat(number).st_ino != inode:
            return None
        line = Socket(fileno=number)
        try:
            info = line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_SIZE)
        finally:
            line.detach()
    except (OSError, AttributeError):
        return None
    if len(info) < _INFO_SIZE:
        return None
    sent, again, more = (
        int.from_bytes(info[p], sys.byteorder) for p in (_SENT, _SENT_AGAIN, _TO_BE_SENT)
    )
    return sent - again + more


def stop() -> None:
    """End the tracing; harmless when there is none."""
    global _tracker
    tracker, _tracker = _tracker, None
    descriptors.own(())
    if tracker is not None:
        with _threads_kept():
            tracker.__exit__(None, None, None)


@contextlib.contextmanager
def _threads_kept() -> Iterator[None]:
    """Let no other thread have its turn within, and so none end."""
    usual_seconds = sys.getswitchinterval()
    sys.setswitchinterval(max(usual_seconds, _LONG_SECONDS))
    try:
        # Those that wait already have begun with the usual time: until it is over.
        sleep(min(usual_seconds, _LONG_SECONDS))
        yield
    finally:
        sys.setswitchinterval(usual_seconds)


def allocate_marker(number: int) -> None:
    """Keep one block whose size tells ``number``, from a stack the reader knows by this name."""
    global _marker
    _marker = None
    _marker = bytearray(marker_bytes(number))


def _forget_inherited_tracker() -> None:
    """Undo in a forked child what memray left patched: it does not expect a second tracker."""
    global _tracker
    _tracker = None
    for name in ("_name", "_ident"):
        if name in vars(threading.Thread):
            delattr(threading.Thread, name)


def _send_at_once(port: int) -> None:
    """Switch Nagle's algorithm off on the stream: it costs 40 ms at every barrier."""
    global _stream
    for number in _open_numbers():
        with contextlib.suppress(OSError):
            if _is_stream(number, port):
                with _copy_of(number) as copy:
                    copy.getpeername()  # it listens no more
                    _stream = (number, os.fstat(number).st_ino)
                    copy.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _is_of_tracer(number: int, port: int) -> bool:
    """Whether memray opened this descriptor: its stream, or where it reads resident memory."""
    try:
        if _is_stream(number, port):
            return True
        return os.readlink("/proc/self/fd/%d" % number) == "/proc/%d/status" % os.getpid()
    except OSError:
        return False


def _is_stream(number: int, port: int) -> bool:
    if not stat.S_ISSOCK(os.fstat(number).st_mode):
        return False
    with _copy_of(number) as copy:
        return bool(copy.family == socket.AF_INET and copy.getsockname()[1] == port)


def _copy_of(number: int) -> "contextlib.closing[Socket]":
    return contextlib.closing(Socket(fileno=os.dup(number)))


def _open_numbers() -> List[int]:
    return [int(entry.name) for entry in Path("/dev/fd").iterdir()]
