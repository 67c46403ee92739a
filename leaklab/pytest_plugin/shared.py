"""Threads and event loops that installed libraries keep one of, for the life of the process.

The first test that needs one has it made, whichever that is, and has left nothing behind.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import weakref
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from gc import get_referents
from types import ModuleType
from typing import Any

from leaklab.pytest_plugin.inside.leaklab_stacks import is_installed

# Of one object; a cache of threads has a few.
MOST_OBJECTS = 1000
_COLLECTIONS = (list, tuple, set, dict, deque)


def shared_by_libraries() -> weakref.WeakSet[Any]:
    """Return what a module or class of an installed package holds by an attribute of its own.

    A thread, a loop, the threads of a pool; also as the one entry of a collection. Of several in a
    collection none: that is a list of all there are, whoever left them. And what an object that the
    module made one of leads to by more of its objects: the idle workers of a cache of threads.
    """
    found: weakref.WeakSet[Any] = weakref.WeakSet()
    for module in list(sys.modules.values()):
        for value in _attributes(module):
            found.update(_running(value))
            if type(value).__module__ == vars(module).get("__name__"):
                found.update(_led_to(value))
            if type(value) in _COLLECTIONS and len(value) == 1:
                (entry,) = value.values() if type(value) is dict else value
                found.update(_running(entry))
    return found


def _attributes(module: Any) -> Iterator[Any]:
    """The values of an installed module and of the classes it defines.

    As they stand: asking for an attribute may load what is loaded late, and be answered by an
    error; asking an object for its class is asking for one.
    """
    if not issubclass(type(module), ModuleType):
        return
    names = object.__getattribute__(module, "__dict__")
    file, own_name = names.get("__file__"), names.get("__name__")
    if not isinstance(file, str) or not is_installed(file):
        return
    for value in list(names.values()):
        yield value
        if issubclass(type(value), type):
            of_class = type.__getattribute__(value, "__dict__")
            if of_class.get("__module__") == own_name:
                yield from list(of_class.values())


def _led_to(single: Any) -> Iterator[Any]:
    """What runs by objects of the module of ``single``, and by collections, from it on."""
    seen, level = {id(single)}, [single]
    while level and len(seen) < MOST_OBJECTS:
        one = level.pop()
        for under in get_referents(one):
            yield from _running(under)
            ours = type(under).__module__ == type(single).__module__
            if (ours or type(under) in _COLLECTIONS) and id(under) not in seen:
                seen.add(id(under))
                level.append(under)


def _running(value: Any) -> tuple[Any, ...]:
    kind = type(value)
    if issubclass(kind, (threading.Thread, asyncio.AbstractEventLoop)):
        return (value,)
    if issubclass(kind, ThreadPoolExecutor):
        return tuple(getattr(value, "_threads", ()))
    return ()
