"""Notices the end of a program's work: what runs after its last statement is its exit.

A callback registered with `atexit` before anything of the target runs after all of the target's,
and after its threads were joined: too late. So it is `threading._shutdown` that is watched, which
the interpreter calls first; and for programs without threads the callback is kept the one that was
registered last, which runs first.
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
"""


def watch():
    """Tell the session of this process, and of its forks, when the work has ended."""
    wrappers = {}
    exec(compile(_TEXT, "<leaklab>", "exec"), wrappers)  # noqa: S102 (our own text, above)

    def watch_threads(module):
        module._shutdown = wrappers["shutdown_of"](module._shutdown, _ended)

    if "threading" in sys.modules:
        watch_threads(sys.modules["threading"])
    else:
        from .hooks import after_import

        after_import({"threading": [watch_threads]})
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


def _ended():
    session = marks._session
    if session is not None:
        session.work_ended()
