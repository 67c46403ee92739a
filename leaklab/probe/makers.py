"""Remembers which call made each asyncio task and, before Python 3.12, each thread that is there.

No audit event tells of tasks, and none told of threads, but each puts itself into a `WeakSet` of
its module. That set is made to tell of what is added to it: its class is changed, its contents are
not. From Python 3.14 on tasks are listed in C instead, and nothing is told.
"""

import os
import sys
from _weakref import ref

from .hooks import after_import
from .origins import UNKNOWN

# The loop's own steps: what is below them in a stack has made no task, but runs the loop.
_STEPS = ("_run", "_run_once", "run_forever", "run_until_complete", "run")
_ASYNCIO = os.sep + "asyncio" + os.sep
# Compiled under a name of its own: it stands in the stacks of what is allocated for one.
_TEXT = """
def add_of(plain, note):
    def add(self, item):
        note(item)
        return plain(self, item)
    return add
"""


class _Made(ref):
    """A task or thread that is there, and the number of the stack that made it."""

    __slots__ = ("stack",)


class _Makers:
    """Hears of what is added to a set of a module; ``stacks`` numbers calls (see origins.py)."""

    module = ""
    sets: tuple[str, ...] = ()

    def __init__(self, stacks):
        self._stacks = stacks
        self._made = set()
        self._changed = []
        module = sys.modules.get(self.module)
        if module is None:
            after_import({self.module: [self._listen]})
        else:
            self._listen(module)

    def stacks_made(self):
        """Return the numbers of stacks by the address of what each has made."""
        return {id(made()): made.stack for made in [*self._made]}

    def stop(self):
        """Leave the set as it was."""
        for known, plain in self._changed:
            known.__class__ = plain
        self._changed = []
        self._made = set()

    def _listen(self, module):
        found = (getattr(module, name, None) for name in self.sets)
        known = next((one for one in found if one is not None), None)
        plain = type(known)
        if plain.__name__ != "WeakSet" or self._changed:
            return
        namespace = {}
        exec(compile(_TEXT, "<leaklab>", "exec"), namespace)  # noqa: S102 (our own text, above)
        fields = {"add": namespace["add_of"](plain.add, self._note), "__module__": plain.__module__}
        known.__class__ = type(plain.__name__, (plain,), fields)
        self._changed.append((known, plain))

    def _note(self, item):
        # One with an equality of its own would run the target's code.
        if type(item).__hash__ is not object.__hash__:
            return
        try:
            stack = self._stack(item, sys._getframe(2))
            if stack is not None and stack != UNKNOWN:
                made = _Made(item, self._made.discard)
                made.stack = stack
                self._made.add(made)
        except Exception:
            pass  # it is made all the same

    def _stack(self, item, frame):
        """Return the number of the stack that makes ``item`` in ``frame``; None to tell none."""
        raise NotImplementedError


class TaskMakers(_Makers):
    """Hears of each task."""

    module = "asyncio.tasks"
    sets = ("_scheduled_tasks", "_all_tasks")

    def _stack(self, item, frame):
        end = frame
        by_asyncio = True
        while end is not None and not _is_step(end):
            by_asyncio = by_asyncio and _ASYNCIO in end.f_code.co_filename
            end = end.f_back
        # A server's, for a connection: what it runs says more.
        return None if by_asyncio else self._stacks.of_call(frame, end)


class ThreadMakers(_Makers):
    """Hears of each thread that is made, which is most often where it is started."""

    module = "threading"
    # From Python 3.12 on an audit event tells of each start.
    sets = ("_dangling",) if sys.version_info < (3, 12) else ()

    def _stack(self, item, frame):
        # It stands for a thread that was started elsewhere, and is made when that asks for itself.
        if type(item).__name__ == "_DummyThread":
            return None
        # Who calls a constructor says more than the constructor.
        begins = [vars(base).get("__init__") for base in type(item).__mro__]
        codes = [id(getattr(begin, "__code__", None)) for begin in begins]
        while id(frame.f_code) in codes and frame.f_back is not None:
            frame = frame.f_back
        return self._stacks.of_call(frame)


def _is_step(frame):
    code = frame.f_code
    return code.co_name in _STEPS and _ASYNCIO in code.co_filename
