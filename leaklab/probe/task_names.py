"""What a task is called: as its maker has named it, else by what of it is the target's own.

Only code in C runs: getters of the types' own, and what reads fields of code objects.
"""

import os
import types

_STEPS = {
    types.CoroutineType: ("cr_code", "cr_frame", "cr_await"),
    types.GeneratorType: ("gi_code", "gi_frame", "gi_yieldfrom"),
    types.AsyncGeneratorType: ("ag_code", "ag_frame", "ag_await"),
}
_MOST_STEPS = 24
_LIBRARY = os.path.dirname(os.__file__) + os.sep
_INSTALLED = ("site-packages", "dist-packages")
# Runs other people's coroutines in tasks of its own: what it is called says nothing.
_PLUMBING = (os.sep + "anyio" + os.sep,)


def steps_of(coroutine):
    """Return (step, code, frame or None) of what a task runs and awaits, the outermost first."""
    found = []
    while type(coroutine) in _STEPS and len(found) < _MOST_STEPS:
        code, frame, awaited = (getattr(coroutine, name) for name in _STEPS[type(coroutine)])
        found.append((coroutine, code, frame))
        coroutine = awaited
    return found


def own_name(name):
    """Return a task's name where somebody has given it one, "" where asyncio has numbered it."""
    if type(name) is not str or (name.startswith("Task-") and name[5:].isdigit()):
        return ""
    return name


def coroutine_name(coroutine):
    """Return the name of the outermost coroutine that is the target's, else no plumbing; or ""."""
    steps = steps_of(coroutine)
    for is_wanted in (is_own_code, _is_no_plumbing):
        for step, code, _ in steps:
            if is_wanted(code.co_filename):
                return step.__qualname__
    return steps[0][0].__qualname__ if steps else ""


def is_own_code(file):
    """Return whether a file is the target's: not the standard library's, nor an installed one."""
    return not file.startswith((_LIBRARY, "<")) and not any(name in file for name in _INSTALLED)


def _is_no_plumbing(file):
    inside = any(name in file for name in _INSTALLED)
    return inside and not any(name in file for name in _PLUMBING)
