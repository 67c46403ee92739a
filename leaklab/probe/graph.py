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

import errno
import gc
import os
import signal
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
    """Import all that a dump needs, before the target is measured."""
    from . import graph_walk

    _raw_fork()
    return graph_walk


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
    fork = _raw_fork()
    from . import graph_walk  # the walker must not need to import anything itself

    if os.getpid() == 1:
        raise ForkError("this is process 1, which inherits every orphan: dump without fork")
    read_end, write_end = os.pipe()
    had_pending = signal.SIGCHLD in signal.sigpending()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        child = _forked(fork)
        if child == 0:
            _intermediate(fork, graph_walk, path, limit_seconds, write_end)
        os.close(write_end)
        answer = os.read(read_end, _FORMAT.size)
        _reap(child, had_pending)
    finally:
        os.close(read_end)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    pid = _FORMAT.unpack(answer)[0] if len(answer) == _FORMAT.size else -errno.EAGAIN
    if pid < 0:
        raise ForkError("fork failed: %s" % os.strerror(-pid))
    return {"pause_seconds": time.perf_counter() - begun, "pid": pid}


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


def _raw_fork():
    """Return libc's fork as a callable that keeps the interpreter's lock.

    os.fork would run the target's at-fork hooks, clear the other threads' states (and with them
    their thread-locals, whose destructors may write to shared sockets), and warn in 3.12.
    """
    if not hasattr(os, "fork"):
        raise ForkError("this platform has no fork: dump without fork")
    try:
        import ctypes

        fork = ctypes.PyDLL(None, use_errno=True).fork
    except (ImportError, OSError, AttributeError) as problem:
        raise ForkError("libc's fork cannot be called (%s): dump without fork" % problem) from None
    fork.argtypes = ()
    fork.restype = ctypes.c_int
    return fork


def _forked(fork):
    # A thread that has waited long for the interpreter's lock asks for it; the copy would wait for
    # ever for that thread to take it. Giving it up right before takes all such requests back.
    time.sleep(0)
    child = fork()
    if child < 0:
        import ctypes

        raise ForkError("fork failed: %s" % os.strerror(ctypes.get_errno()))
    return child


def _reap(child, had_pending):
    """Collect the intermediate child, and its SIGCHLD unless a child of the target's has one."""
    try:
        os.waitpid(child, 0)
    except ChildProcessError:
        return  # SIGCHLD is ignored here, so the kernel has collected it
    if had_pending or signal.SIGCHLD not in signal.sigpending():
        return
    if hasattr(os, "waitid") and hasattr(signal, "sigtimedwait"):
        flags = os.WEXITED | os.WSTOPPED | os.WCONTINUED | os.WNOHANG | os.WNOWAIT
        try:
            other = os.waitid(os.P_ALL, 0, flags)
        except ChildProcessError:
            other = None
        if other is None:
            signal.sigtimedwait((signal.SIGCHLD,), 0)


def _intermediate(fork, graph_walk, path, limit_seconds, write_end):
    """In the first child: start the walker, tell its process id, end."""
    try:
        walker = fork()
        if walker == 0:
            _walk(graph_walk, path, limit_seconds)
        os.write(write_end, _FORMAT.pack(walker if walker > 0 else -errno.EAGAIN))
    finally:
        os._exit(0)


def _walk(graph_walk, path, limit_seconds):
    """In the grandchild: drop everything of the target's, walk, end."""
    status = 1
    try:
        os.setsid()  # a signal to the target's group is not meant for its copy
        gc.disable()
        sys.setprofile(None)
        sys.settrace(None)
        _default_signals(limit_seconds)
        _close_descriptors()
        _be_modest()
        if graph_walk.write_graph(path, limit_seconds, copy=True):
            status = 0
    finally:
        os._exit(status)


def _default_signals(limit_seconds):
    """Die by the usual signals and by the alarm; signal.signal works in the main thread only."""
    import ctypes

    libc_signal = ctypes.PyDLL(None).signal
    libc_signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
    libc_signal.restype = ctypes.c_void_p
    deadly = (signal.SIGALRM, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
    for number in deadly:
        libc_signal(int(number), None)
    signal.setitimer(signal.ITIMER_REAL, limit_seconds + GRACE_SECONDS)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, deadly)


def _close_descriptors():
    """Let go of every descriptor: a reader of the target's pipes must see their end in time."""
    try:
        highest = max(map(int, os.listdir("/proc/self/fd")))
    except (OSError, ValueError):
        highest = 65536
    os.closerange(0, highest + 1)
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
