"""A dump of this process's object graph: who holds what, with a pause of milliseconds.

``dump_by_fork`` copies the process with ``fork``: the copy walks the heap and writes the graph to
a file while the target goes on. The copy is a grandchild that nobody in the target ever sees: no
exit of it can be waited for, no SIGCHLD of it arrives, no at-fork hook runs, it holds none of the
target's descriptors, and it ends by itself at its time limit. The walk runs no code of the
target; only what dies with the threads a copy does not have (thread-locals, where a large heap
makes looking for them too dear) may have a destructor, which then has no descriptor to reach.
``dump_here`` does the same without a fork and stops the target meanwhile.

The file is complete when it ends with a ``DONE`` chunk (``leaklab.recorder.graph`` reads it): then
the walk either succeeded or says why it did not. A walker that was killed, or ran into its limit
in the middle of something, leaves a file without one.
"""

import gc
import os
import sys
import time

from . import graph_walk
from .graph_roots import running_frames
from .unpatched import thread_time

# How much longer than its limit the walker may live: it normally stops by itself, between batches.
GRACE_SECONDS = 2


class ForkError(Exception):
    """This process cannot be copied; the text says why and that ``dump_here`` is left."""


def prepare():
    """Import all that a dump needs, before the target is measured and its threads hold locks.

    Raises ForkError as dump_by_fork does.
    """
    if not hasattr(os, "fork"):
        raise ForkError("this platform has no fork: dump without a copy")
    try:
        from . import graph_copy
    except (ImportError, OSError, AttributeError) as problem:
        raise ForkError("no ctypes (%s): dump without a copy" % problem) from None
    return graph_copy


def dump_by_fork(path, limit_seconds=60.0, adopt=False):
    """Start writing the object graph of this process to ``path`` and go on.

    ``path`` is a file to be created or a named pipe. ``limit_seconds`` bounds the walk. Returns
    ``{"pause_seconds": how long the caller was held, "cost_seconds": processor time of that,
    "pid": the walker's process id}``. The
    walker is no child of the caller: it is done when that process is gone, and it has succeeded
    when the file then ends with a DONE chunk whose status is "complete".

    With ``adopt`` the walker becomes a child of the caller, who has to collect it: for containers,
    where process 1 inherits every orphan and may never collect what it has not started.

    Raises ForkError where a copy is impossible or unsafe: no fork, no ctypes, subinterpreters, or
    process 1 without ``adopt``, which would inherit the walker.
    """
    begun = time.perf_counter(), thread_time()
    graph_copy = prepare()
    if os.getpid() == 1 and not adopt:
        raise ForkError("this is process 1, which inherits every orphan: dump without a copy")
    if graph_copy.has_subinterpreters():
        raise ForkError("a process with subinterpreters cannot be copied: dump without a copy")
    frames, target_pid = running_frames(), os.getpid()
    try:
        pid = graph_copy.copied(
            lambda: graph_walk.write_graph(path, limit_seconds, frames, target_pid, copy=True),
            limit_seconds + GRACE_SECONDS,
            adopt,
        )
    except OSError as problem:
        raise ForkError("no copy of the process: %s" % problem) from None
    finally:
        _forget(frames)
    return {**_held_since(*begun), "pid": pid}


def dump_here(path, limit_seconds=60.0):
    """Write the object graph of this process to ``path`` without a copy; the target waits.

    Other threads stand still as well (as far as the interpreter's switch interval allows). Labels
    of attributes are fewer than in a forked dump, because nothing may be created in the target.
    Returns the same with ``"pid": None``: there is no walker to wait for.
    """
    begun = time.perf_counter(), thread_time()
    interval = sys.getswitchinterval()
    enabled = gc.isenabled()
    sys.setswitchinterval(max(interval, limit_seconds))
    gc.disable()
    frames = running_frames()
    try:
        graph_walk.write_graph(path, limit_seconds, frames, os.getpid(), copy=False)
    finally:
        _forget(frames)
        if enabled:
            gc.enable()
        sys.setswitchinterval(interval)
    return {**_held_since(*begun), "pid": None}


def _forget(frames):
    """Let go of the frames: this function's caller is one of them, so they would be a cycle that
    keeps what all threads were working on until the next collection."""
    for part in frames:
        part.clear()


def _held_since(begun, begun_processor):
    """Return how long the caller was held, and what of that was this work and not the machine's."""
    return {
        "pause_seconds": time.perf_counter() - begun,
        "cost_seconds": thread_time() - begun_processor,
    }
