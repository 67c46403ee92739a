"""Notices the end of a program's work: what runs after its last statement is its exit.

A callback registered with `atexit` before anything of the target runs after all of the target's,
and after its threads were joined: too late. So it is `threading._shutdown` that is watched, which
the interpreter calls first; and for programs without threads the callback is kept the one that was
registered last, which runs first.

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

def handler_of(original, ended):
    def handler(number, frame):
        ended()
        return original(number, frame)
    return handler
"""
# The signal by which whoever runs a program asks it to end.
END_SIGNAL = "SIGTERM"


def watch():
    """Tell the session of this process, and of its forks, when the work has ended."""
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
    original = atexit.register
    original(_ended)
    atexit.register = wrappers["register_of"](original, _follower(original))
    atexit.register.__doc__ = original.__doc__


def _follower(register):
    """Return what keeps the callback in the last place."""
    count = 0

    def follow():
        nonlocal count
        count += 1
        if count <= FOLLOWED_COUNT:
            try:
                atexit.unregister(_ended)
            except Exception:
                pass
            register(_ended)

    return follow


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
