"""Notices the end of a program's work: what runs after its last statement is its exit.

A callback registered with `atexit` before anything of the target runs after all of the target's,
and after its threads were joined: too late. So it is `threading._shutdown` that is watched, which
the interpreter calls first; and as long as that was not imported the callback is kept the one that
was registered last, which runs first.

Before CPython 3.14 a callback that was taken back still counts as registered, so the target is told
a count without ours.

A service that is asked to end by SIGTERM closes what it has, often for seconds, before it comes to
its last statement. So the handlers a target sets for it are called through one of ours.
"""

import atexit
import sys

from . import marks

# Moving the callback looks at all that are registered: a target that registers ever more of them
# must not pay for that each time.
FOLLOWED_COUNT = 200

# Compiled under the name of the wrappers (see hooks.py), as they stand in the target's stacks.
_TEXT = """
def shutdown_of(original, ended):
    def _shutdown(*args, **kwargs):
        ended()
        return original(*args, **kwargs)
    return _shutdown

def register_of(original, follow):
    def register(*args, **kwargs):
        function = original(*args, **kwargs)
        follow()
        return function
    return register

def count_of(original, own_count):
    def _ncallbacks():
        return original() - own_count(original())
    return _ncallbacks

def handler_of(original, ended):
    def handler(number, frame):
        ended()
        return original(number, frame)
    return handler
"""
# The signal by which whoever runs a program asks it to end.
END_SIGNAL = "SIGTERM"


def watch(end):
    """Tell the session of this process, and of its forks, when the work has ended.

    ``end`` is called last of all at exit. Called before anything of the target has run.
    """
    wrappers = {}
    exec(compile(_TEXT, "<leaklab>", "exec"), wrappers)  # noqa: S102 (our own text, above)

    def watch_threads(module):
        module._shutdown = wrappers["shutdown_of"](module._shutdown, _ended)

    def watch_signals(module):
        _follow_handlers(module, wrappers["handler_of"])

    missing = {}
    for name, change in (("threading", watch_threads), ("signal", watch_signals)):
        if name in sys.modules:
            change(sys.modules[name])
        else:
            missing[name] = [change]
    if missing:
        from .hooks import after_import

        after_import(missing)
    _follow_callbacks(wrappers, end)


def _follow_callbacks(wrappers, end):
    """Keep our callback in the last place, and out of the count that the target is told."""
    register = atexit.register
    # Where the interpreter does not count, nobody is told.
    counted = getattr(atexit, "_ncallbacks", int)
    before_count = counted()
    register(end)
    register(_ended)
    own_count = counted() - before_count
    moved_count = 0

    def follow():
        nonlocal own_count, moved_count
        if "threading" in sys.modules or moved_count == FOLLOWED_COUNT:
            return
        moved_count += 1
        before_count = counted()
        try:
            atexit.unregister(_ended)
        except Exception:
            pass
        register(_ended)
        own_count += counted() - before_count

    def own_of(count):
        nonlocal own_count
        if count < own_count:
            own_count = 0  # the target has cleared them all
        return own_count

    atexit.register = wrappers["register_of"](register, follow)
    atexit.register.__doc__ = register.__doc__
    if counted is not int:
        atexit._ncallbacks = wrappers["count_of"](counted, own_of)
        atexit._ncallbacks.__doc__ = counted.__doc__


def _follow_handlers(module, handler_of):
    """Let the signal module call the target's handlers through ours, and tell of them as theirs."""
    set_handler, get_handler = module.signal, module.getsignal
    end_signal = getattr(module, END_SIGNAL)
    ours = {}

    def theirs(handler):
        wrapped = ours.get("handler")
        return ours["original"] if wrapped is not None and handler is wrapped else handler

    def signal(signalnum, handler):
        if signalnum != end_signal or not callable(handler):
            return theirs(set_handler(signalnum, handler))
        wrapped = handler_of(handler, _asked_to_end)
        before = theirs(set_handler(signalnum, wrapped))
        ours.update(handler=wrapped, original=handler)
        return before

    def getsignal(signalnum):
        return theirs(get_handler(signalnum))

    for function, original in ((signal, set_handler), (getsignal, get_handler)):
        function.__doc__ = original.__doc__
        function.__module__ = original.__module__
        function.__qualname__ = original.__qualname__
        function.__wrapped__ = original
        setattr(module, original.__name__, function)


def _ended():
    session = marks._session
    if session is not None:
        session.work_ended()


def _asked_to_end():
    session = marks._session
    if session is not None:
        session.work_ended(END_SIGNAL)
