"""Garbage collection in the main thread, asked for by the probe's own.

Finalizers of a program with one thread expect to run in that thread, so the probe's thread must
not collect: it makes the collection a pending call of the interpreter, which the main thread runs
between two of its instructions, as it runs signal handlers and, at nearly any time, the collector.
"""

import gc
from typing import List

from . import unpatched

# Calls may still be pending when nobody waits any more, also in a forked child, which inherits
# them: what they call must never be freed.
_kept: "List[MainThreadCollection]" = []


class MainThreadCollection:
    """One collection at a time; raises ImportError where the interpreter has no ctypes."""

    def __init__(self):
        import ctypes
        from itertools import repeat
        from operator import itemgetter

        self._idle = unpatched.allocate_lock()
        # The main thread's processor time before and after.
        self._times = []
        clock = map(self._times.append, iter(unpatched.thread_time, None))
        # Collects, says so, gives 0 for success. Only C: were there an instruction of Python
        # behind the collection, a signal's exception would be raised there and end with the call.
        step = map(
            itemgetter(4),
            zip(
                clock, map(gc.collect, repeat(2)), clock, iter(self._idle.release, self), repeat(0)
            ),
        )
        self._call = ctypes.PYFUNCTYPE(ctypes.c_int)(step.__next__)
        self._add = ctypes.pythonapi.Py_AddPendingCall
        self._add.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
        self._address = ctypes.cast(self._call, ctypes.c_void_p)
        _kept.append(self)

    def run(self, limit_seconds):
        """Collect, and return the processor seconds that it took.

        None if the main thread came to it later than ``limit_seconds``, or never.
        """
        # One that is still pending does as well as another.
        if self._idle.acquire(timeout=0) and self._add(self._address, None) != 0:
            self._idle.release()
            return None
        if not self._idle.acquire(timeout=limit_seconds):
            return None
        begun, ended = self._times[-2:]
        self._times.clear()
        self._idle.release()
        return ended - begun
