"""Remembers which call made each asyncio task that is still there.

No audit event tells of tasks, but each puts itself into a `WeakSet` of asyncio's, whatever the loop
is. That set is made to tell of what is added to it: its class is changed, its contents are not.
From Python 3.14 on tasks are listed in C instead, and nothing is told.
"""

import os
import sys
from _weakref import ref

from .hooks import after_import
from .origins import UNKNOWN

# The loop's own steps: what is below them in a stack has made no task, but runs the loop.
_STEPS = ("_run", "_run_once", "run_forever", "run_until_complete", "run")
_ASYNCIO = os.sep + "asyncio" + os.sep
# Compiled under a name of its own: it stands in the stacks of what asyncio allocates for a task.
_TEXT = """
def add_of(plain, note):
    def add(self, item):
        note(item)
        return plain(self, item)
    return add
"""


class _Made(ref):
    """A task that is there, and the number of the stack that made it."""

    __slots__ = ("stack",)


class TaskMakers:
    """Hears of each task; ``stacks`` numbers the calls (see origins.py)."""

    def __init__(self, stacks):
        self._stacks = stacks
        self._made = set()
        self._changed = []
        tasks = sys.modules.get("asyncio.tasks")
        if tasks is None:
            after_import({"asyncio.tasks": [self._listen]})
        else:
            self._listen(tasks)

    def by_task(self):
        """Return the numbers of stacks by the address of the task that each has made."""
        return {id(made()): made.stack for made in [*self._made]}

    def stop(self):
        """Leave asyncio as it was."""
        for known, plain in self._changed:
            known.__class__ = plain
        self._changed = []
        self._made = set()

    def _listen(self, tasks):
        known = getattr(tasks, "_scheduled_tasks", None)
        known = getattr(tasks, "_all_tasks", None) if known is None else known
        plain = type(known)
        if plain.__name__ != "WeakSet" or self._changed:
            return
        namespace = {}
        exec(compile(_TEXT, "<leaklab>", "exec"), namespace)  # noqa: S102 (our own text, above)
        fields = {"add": namespace["add_of"](plain.add, self._note), "__module__": plain.__module__}
        known.__class__ = type(plain.__name__, (plain,), fields)
        self._changed.append((known, plain))

    def _note(self, task):
        # A task with an equality of its own would run the target's code.
        if type(task).__hash__ is not object.__hash__:
            return
        try:
            frame = end = sys._getframe(2)
            by_asyncio = True
            while end is not None and not _is_step(end):
                by_asyncio = by_asyncio and _ASYNCIO in end.f_code.co_filename
                end = end.f_back
            if by_asyncio:  # a server's, for a connection: what it runs says more
                return
            stack = self._stacks.of_call(frame, end)
            if stack is not None and stack != UNKNOWN:
                made = _Made(task, self._made.discard)
                made.stack = stack
                self._made.add(made)
        except Exception:
            pass  # the task is made all the same


def _is_step(frame):
    code = frame.f_code
    return code.co_name in _STEPS and _ASYNCIO in code.co_filename
