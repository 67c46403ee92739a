"""The standard library as it was before anybody patched it.

gevent and eventlet replace functions that wait by ones that switch to another greenlet, and the
name of a thread by that of a greenlet. The probe waits in the middle of a mark, with a lock held;
a switch there lets the next request run into that lock, and the whole worker stands still. So
whatever waits, locks or names a thread is taken from here: bound when the probe is imported, before
the target's first line. Where the probe comes later, attached to a running process, the patcher is
asked for what it has replaced.
"""

import _socket
import _thread
import os
import select
import sys
import time


def original(module, name):
    """Return the function ``name`` of ``module`` as the interpreter brought it."""
    found = getattr(module, name, None)  # eventlet removes what it cannot replace
    if type(found) is type(len) or (
        isinstance(found, type) and found.__module__ == module.__name__
    ):
        return found
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and module.__name__ in gevent.saved:
        return gevent.get_original(module.__name__, name)
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet is not None:
        return getattr(eventlet.original(module.__name__), name)
    return found


get_ident = original(_thread, "get_ident")
allocate_lock = original(_thread, "allocate_lock")
start_new_thread = original(_thread, "start_new_thread")
sleep = original(time, "sleep")
monotonic = original(time, "monotonic")
thread_time = original(time, "thread_time")
waitpid = original(os, "waitpid")
read = original(os, "read")
write = original(os, "write")
open_file = original(os, "open")
# Not select, which refuses descriptors from 1024 on.
poll = original(select, "poll")
# The class behind `socket.socket`, which is what is patched.
Socket = _socket.socket


def greenlet_or_thread():
    """Return a number for what runs now: the greenlet where there are any, else the thread.

    Two requests that a server handles in turns in one thread are told apart by it.
    """
    greenlet = sys.modules.get("greenlet")
    try:
        return id(greenlet.getcurrent())
    except AttributeError:  # there is none, or it is being imported
        return get_ident()
