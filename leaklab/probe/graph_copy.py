"""A copy of this process that the process never notices.

os.fork will not do: it runs the target's at-fork hooks, lets destructors of other threads' values
run in the copy while that still holds the target's descriptors, and warns. libc's fork alone
leaves the copy waiting for ever for threads it does not have. So both are combined, and as every
byte code may hand the interpreter over to another thread, the steps from before the fork to the
restored interpreter are one call into C: a chain of iterators over C functions.
"""

import ctypes
import gc
import os
import select
import signal
import struct
import sys
from _thread import _local
from collections import deque
from functools import partial
from itertools import chain, filterfalse, starmap, tee
from weakref import ref

from . import unpatched
from .graph_roots import FORK_HOOKS
from .graph_signals import SignalsHeldBack, become_mortal

# Imported before any copy is made: in the copy, another thread may hold the import lock for ever.
try:
    import resource
except ImportError:
    resource = None  # type: ignore[assignment]

_ANSWER = struct.Struct("=q")
_ANSWER_SECONDS = 10.0
_CLOSE_RANGE = 436  # the number of this system call, on every architecture of Linux
_SUBREAPER = 36  # what prctl calls a process that inherits the orphans below it
_LAST = ctypes.c_uint(0xFFFFFFFF)
# Up to this many allocated blocks, looking for thread-locals takes a few milliseconds.
_FEW_BLOCKS = 500_000
_ONCE = ((),)

_libc = ctypes.PyDLL(None, use_errno=True)
_newest_interpreter = ctypes.pythonapi.PyInterpreterState_Head
_main_interpreter = ctypes.pythonapi.PyInterpreterState_Main
for _function in (_newest_interpreter, _main_interpreter):
    _function.restype = ctypes.c_void_p
_before = ctypes.pythonapi.PyOS_BeforeFork
_after_in_parent = ctypes.pythonapi.PyOS_AfterFork_Parent
_after_in_child = ctypes.pythonapi.PyOS_AfterFork_Child
for _function in (_before, _after_in_parent, _after_in_child, _libc._exit):
    _function.restype = None
_nowhere = ctypes.c_uint(0x7FFFFFF0)
_HAS_CLOSE_RANGE = (
    sys.platform == "linux" and _libc.syscall(_CLOSE_RANGE, _nowhere, _nowhere, 0) == 0
)


def has_subinterpreters():
    """Say whether there are other interpreters than the main one in this process.

    The interpreter ends them in a copy, before anything of ours runs there: that hangs (CPython 3.9
    to 3.12) or aborts (3.13).
    """
    return _newest_interpreter() != _main_interpreter()


def copied(work, limit_seconds, adopt=False):
    """Run ``work()`` in a copy of this process and return the copy's process id at once.

    The copy is a grandchild, without the target's descriptors and threads, dead at the latest
    after ``limit_seconds``; with ``adopt`` it is a child from then on. Raises OSError when there
    is none.
    """
    read_end, write_end = os.pipe()
    values = _thread_values()
    collecting = gc.isenabled()
    gc.disable()  # a collection runs finalizers of the target's, here in the middle of a fork
    try:
        if adopt:
            _libc.prctl(_SUBREAPER, 1, 0, 0, 0)
        with SignalsHeldBack():
            child = _fork_twice(partial(_in_copy, work, limit_seconds, write_end), write_end)
            problem = ctypes.get_errno()
            os.close(write_end)
            write_end = -1
            if child < 0:
                raise OSError(problem, os.strerror(problem))
            return _answer(child, read_end)
    finally:
        if adopt:
            _libc.prctl(_SUBREAPER, 0, 0, 0, 0)
        if collecting:
            gc.enable()
        os.close(read_end)
        if write_end >= 0:
            os.close(write_end)
        values.clear()


def _fork_twice(in_copy, kept_descriptor):
    """Fork, and in the child fork again and end; in the grandchild call ``in_copy``.

    Returns the child's process id. fork returns 0 in the new process only, so filters let each
    process go its own way through the chain; it is pulled through in one call.
    """
    first, child = tee(starmap(_libc.fork, _ONCE))
    # Descriptors go before the second fork, whose handlers (memray's, say) may write to them, and
    # before the other threads' values, whose destructors may.
    closed = filterfalse(None, first)
    for close in _closers(kept_descriptor):
        closed = map(close, closed)
    second, grandchild = tee(map(_libc.fork, closed))
    hooks = [(list_, list(list_)) for list_ in FORK_HOOKS]
    steps = chain(
        starmap(list.clear, [(list_,) for list_ in FORK_HOOKS]),
        starmap(_before, _ONCE),
        map(partial(in_copy, hooks), map(_after_in_child, filterfalse(None, second))),
        map(_libc._exit, filter(None, grandchild)),
        starmap(_after_in_parent, _ONCE),
        starmap(list.extend, hooks),
    )
    deque(steps, maxlen=0)
    return next(child)


def _closers(kept_descriptor):
    """Return C functions of one ignored argument that close all descriptors but one."""
    if _HAS_CLOSE_RANGE:
        below = partial(_libc.syscall, _CLOSE_RANGE, 0, kept_descriptor - 1, 0)
        return below, partial(_libc.syscall, _CLOSE_RANGE, kept_descriptor + 1, _LAST, 0)
    known = {int(name) for name in os.listdir("/dev/fd")} - {kept_descriptor}
    return (partial(sum, map(_libc.close, known)),)


def _answer(child, read_end):
    """Collect the child and return what the copy says its process id is."""
    waiting = unpatched.poll()
    waiting.register(read_end, select.POLLIN)
    ready = waiting.poll(_ANSWER_SECONDS * 1000)
    said = unpatched.read(read_end, _ANSWER.size) if ready else b""
    # Nothing more is wanted of the child, and it may never end by itself: after the second fork it
    # is traced again, by a memray whose lock another thread may have held at the first.
    try:
        os.kill(child, signal.SIGKILL)
    except ProcessLookupError:
        pass
    try:
        unpatched.waitpid(child, 0)
    except ChildProcessError:
        pass  # SIGCHLD is ignored here, so the kernel has collected it
    if len(said) != _ANSWER.size:
        raise OSError("the copy did not come up")
    return _ANSWER.unpack(said)[0]


def _thread_values():
    """Return what keeps the other threads' values of thread-locals alive in a copy.

    The copy has no other threads, and the interpreter forgets what was theirs.
    """
    if len(sys._current_frames()) < 2 or sys.getallocatedblocks() > _FEW_BLOCKS:
        return []
    kinds = [_local]
    for kind in kinds:
        kinds.extend(type.__subclasses__(kind))
    values = []
    for one in gc.get_referrers(*kinds):
        if not any(type(one) is kind for kind in kinds):
            continue
        for table in gc.get_referents(one):
            if type(table) is dict:
                values.extend(dict.values(table))
            if type(table) in (dict, set):
                values.extend(key() if type(key) is ref else key for key in list(table))
    return values


def _in_copy(work, limit_seconds, write_end, hooks, _=None):
    """In the grandchild: say so, drop everything of the target's, work, end."""
    status = 1
    try:
        os.setsid()  # a signal to the target's group is not meant for its copy
        unpatched.write(write_end, _ANSWER.pack(os.getpid()))
        sys.setprofile(None)
        sys.settrace(None)
        become_mortal(limit_seconds)
        for list_, held in hooks:  # where they belong, or the walk would find them with us
            list_.extend(held)
            held.clear()
        _let_go()
        if work():
            status = 0
    finally:
        os._exit(status)


def _let_go():
    """Close every descriptor, leave the processor to the target, go first when memory runs out."""
    try:
        highest = max(map(int, os.listdir("/proc/self/fd")))
    except (OSError, ValueError):
        highest = 65536
    os.closerange(0, highest + 1)
    for _ in range(3):
        unpatched.open_file(os.devnull, os.O_RDWR)
    try:
        os.nice(10)
        score = unpatched.open_file("/proc/self/oom_score_adj", os.O_WRONLY)
        unpatched.write(score, b"1000")
        os.close(score)
    except OSError:
        pass
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
