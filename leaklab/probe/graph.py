"""A dump of this process's object graph: who holds what, with a pause of milliseconds.

``dump_by_fork`` copies the process with ``fork``: the copy walks the heap and writes the graph to
a file while the target goes on. The copy is a grandchild that nobody in the target ever sees: no
exit of it can be waited for, no SIGCHLD of it arrives, no at-fork hook, destructor or other code
of the target runs in it, it holds none of the target's descriptors, and it ends by itself at its
time limit. ``dump_here`` does the same without a fork and stops the target meanwhile.

The file is complete when it ends with a ``DONE`` chunk (``leaklab.record.graph`` reads it): then
the walk either succeeded or says why it did not. A walker that was killed, or ran into its limit
in the middle of something, leaves a file without one.
"""

import gc
import os
import struct
import sys
import time

# Imported before any copy is made: in the copy, another thread may hold the import lock for ever.
try:
    import resource
except ImportError:
    resource = None

# How much longer than its limit the walker may live: it normally stops by itself, between batches.
GRACE_SECONDS = 2
_FORMAT = struct.Struct("<q")


class ForkError(Exception):
    """This process cannot be copied; the text says why and that ``dump_here`` is left."""


def prepare():
    """Import all that a dump needs, before the target is measured and its threads hold locks.

    Raises ForkError as dump_by_fork does.
    """
    if not hasattr(os, "fork"):
        raise ForkError("this platform has no fork: dump without a copy")
    try:
        import ctypes

        from . import graph_signals

        # os.fork would run the target's at-fork hooks, clear the other threads' states (and their
        # thread-locals, whose destructors may write to shared sockets), and warn in 3.12.
        fork = ctypes.PyDLL(None, use_errno=True).fork
    except (ImportError, OSError, AttributeError) as problem:
        raise ForkError("no ctypes (%s): dump without a copy" % problem) from None
    fork.argtypes = ()
    fork.restype = ctypes.c_int
    from . import graph_walk

    return _Tools(fork, ctypes.get_errno, graph_signals, graph_walk)


class _Tools:
    """What the copy needs and cannot import itself: another thread may hold the import lock."""

    def __init__(self, fork, get_errno, signals, walk):
        self.fork = fork
        self.get_errno = get_errno
        self.signals = signals
        self.walk = walk


def dump_by_fork(path, limit_seconds=60.0):
    """Start writing the object graph of this process to ``path`` and go on.

    ``path`` is a file to be created or a named pipe. ``limit_seconds`` bounds the walk. Returns
    ``{"pause_seconds": how long the caller was held, "pid": the walker's process id}``. The
    walker is no child of the caller: it is done when that process is gone, and it has succeeded
    when the file then ends with a DONE chunk whose status is "complete".

    Raises ForkError where a copy is impossible or unsafe: no fork, no ctypes, or process 1, which
    would inherit the walker.
    """
    begun = time.perf_counter()
    tools = prepare()
    if os.getpid() == 1:
        raise ForkError("this is process 1, which inherits every orphan: dump without a copy")
    read_end, write_end = os.pipe()
    try:
        with tools.signals.SignalsHeldBack():
            # A thread that has waited long for the interpreter's lock asks for it; the copy would
            # wait for ever for that thread to take it. Giving it up takes such requests back.
            time.sleep(0)
            child = tools.fork()
            if child == 0:
                _intermediate(tools, path, limit_seconds, write_end)
            os.close(write_end)
            answer = os.read(read_end, _FORMAT.size) if child > 0 else b""
            _reap(child)
    finally:
        os.close(read_end)
    pid = _FORMAT.unpack(answer)[0] if answer else -tools.get_errno()
    if pid <= 0:
        raise ForkError("fork failed: %s" % os.strerror(-pid))
    return {"pause_seconds": time.perf_counter() - begun, "pid": pid}


def _reap(child):
    try:
        os.waitpid(child, 0)
    except ChildProcessError:
        pass  # SIGCHLD is ignored here, so the kernel has collected it


def dump_here(path, limit_seconds=60.0):
    """Write the object graph of this process to ``path`` without a copy; the target waits.

    Other threads stand still as well (as far as the interpreter's switch interval allows). Labels
    of attributes are fewer than in a forked dump, because nothing may be created in the target.
    Returns ``{"pause_seconds": …, "pid": this process}``.
    """
    begun = time.perf_counter()
    from . import graph_walk

    interval = sys.getswitchinterval()
    enabled = gc.isenabled()
    sys.setswitchinterval(max(interval, limit_seconds))
    gc.disable()
    try:
        graph_walk.write_graph(path, limit_seconds, copy=False)
    finally:
        if enabled:
            gc.enable()
        sys.setswitchinterval(interval)
    return {"pause_seconds": time.perf_counter() - begun, "pid": os.getpid()}


def _intermediate(tools, path, limit_seconds, write_end):
    """In the first child: start the walker, tell its process id, end."""
    try:
        # Before the second fork: after it memray's handler takes this process for the target and
        # would go on writing into the stream it shares with it.
        _close_descriptors(write_end)
        walker = tools.fork()
        if walker == 0:
            _walk(tools, path, limit_seconds)
        os.write(write_end, _FORMAT.pack(walker if walker > 0 else -tools.get_errno()))
    finally:
        os._exit(0)


def _walk(tools, path, limit_seconds):
    """In the grandchild: drop everything of the target's, walk, end."""
    status = 1
    try:
        os.setsid()  # a signal to the target's group is not meant for its copy
        gc.disable()
        sys.setprofile(None)
        sys.settrace(None)
        tools.signals.become_mortal(limit_seconds + GRACE_SECONDS)
        _be_modest()
        if tools.walk.write_graph(path, limit_seconds, copy=True):
            status = 0
    finally:
        os._exit(status)


def _close_descriptors(kept):
    """Let go of every descriptor but one: the target's pipes and streams are not the copy's."""
    try:
        highest = max(map(int, os.listdir("/proc/self/fd")))
    except (OSError, ValueError):
        highest = 65536
    os.closerange(0, kept)
    os.closerange(kept + 1, highest + 1)
    for _ in range(3):
        os.open(os.devnull, os.O_RDWR)


def _be_modest():
    """Leave the processor to the target, and be the first to go when memory runs out."""
    try:
        os.nice(10)
        score = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(score, b"1000")
        os.close(score)
    except OSError:
        pass
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
