"""Threads and event loops that installed libraries keep one of, for the life of the process.

The first test that needs one has it made, whichever that is, and has left nothing behind.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

from leaklab.pytest_plugin.inside.leaklab_stacks import is_installed


def shared_by_libraries() -> weakref.WeakSet[Any]:
    """Return what a module or class of an installed package holds by an attribute of its own.

    A thread, a loop, the threads of a pool; also as the one entry of a collection. Of several in a
    collection none: that is a list of all there are, whoever left them.
    """
    found: weakref.WeakSet[Any] = weakref.WeakSet()
    for module in list(sys.modules.values()):
        for value in _attributes(module):
            found.update(_running(value))
            if type(value) in (list, tuple, set, dict) and len(value) == 1:
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


def _running(value: Any) -> tuple[Any, ...]:
    kind = type(value)
    if issubclass(kind, (threading.Thread, asyncio.AbstractEventLoop)):
        return (value,)
    if issubclass(kind, ThreadPoolExecutor):
        return tuple(getattr(value, "_threads", ()))
    return ()
