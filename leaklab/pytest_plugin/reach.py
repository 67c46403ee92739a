"""What a live fixture holds: things that it opened later than in its setup, and will close.

A client opens its connection for the first request, a pool starts its thread for the first job. The
test that came first has left nothing behind: the fixture's value, or a local variable of its
generator, leads to what remains.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.process import BaseProcess
from types import (
    CodeType,
    FrameType,
    FunctionType,
    MethodDescriptorType,
    ModuleType,
    TracebackType,
)
from typing import Any

from leaklab.pytest_plugin.inside.leaklab_origins import (
    BESIDE,
    CHILD,
    DESCRIPTOR,
    SOCKET,
    THREAD,
    Remaining,
)

# A walk over so many objects takes a tenth of a second; the nearest are the first.
MOST_OBJECTS = 200_000
# What leads to all of the process, or of the session, and not to what one fixture holds. What a
# loop is to call later (a handle) belongs to whoever asked for it.
_PASSED = (
    type,
    ModuleType,
    CodeType,
    FrameType,
    TracebackType,
    threading.local,
    contextvars.Context,
    logging.Logger,
    logging.Manager,
    asyncio.Handle,
)
_PASSED_PACKAGES = ("_pytest", "pluggy", "leaklab")
_PLAIN = frozenset((type(None), bool, int, float, complex, str, bytes))


class Reach:
    """All that ``roots`` lead to; ``database_of`` says which file a connection of sqlite3 is of."""

    def __init__(
        self, roots: Iterable[Any], database_of: Callable[[Any], str | None] = lambda _: None
    ) -> None:
        self._database_of = database_of
        # Kept, so that no number is given to another object meanwhile.
        self._objects: dict[int, Any] = {}
        self._passed: dict[type, bool] = {}
        self._numbers: set[int] = set()
        self._pids: set[int] = set()
        self._databases: list[str] = []
        self._walk(roots)

    def holds(self, one: Remaining) -> bool:
        """Return whether a thing is among what was reached, or a thread that works for it."""
        kind, key = one.key
        if kind == CHILD:
            return key in self._pids
        if kind in (SOCKET, DESCRIPTOR):
            number, link = key
            return number in self._numbers or self._is_of_database(link)
        thing = one.thing
        if kind == THREAD and id(_worked_for(thing)) in self._objects:
            # A server keeps no list of its daemons, and they hold the connections.
            self._walk([thing])
        return thing is not None and id(thing) in self._objects

    def _is_of_database(self, link: str) -> bool:
        return any(link.removesuffix(end) in self._databases for end in ("", *BESIDE))

    def _walk(self, roots: Iterable[Any]) -> None:
        level = list(roots)
        while level and len(self._objects) < MOST_OBJECTS:
            new = []
            for one in level:
                if type(one) in _PLAIN or id(one) in self._objects or self._is_passed(one):
                    continue
                self._objects[id(one)] = one
                self._note(one)
                new.append(one)
            level = [under for one in new for under in _referents(one)]

    def _is_passed(self, one: Any) -> bool:
        kind = type(one)
        passed = self._passed.get(kind)
        if passed is None:
            package = str(kind.__module__).partition(".")[0]
            passed = issubclass(kind, _PASSED) or package in _PASSED_PACKAGES
            self._passed[kind] = passed
        return passed

    def _note(self, one: Any) -> None:
        if isinstance(one, subprocess.Popen):
            self._pids.add(one.pid)
        elif isinstance(one, BaseProcess):
            self._note_process(one)
        elif isinstance(one, sqlite3.Connection):
            path = self._database_of(one)
            self._databases += [path] if path else []
        else:
            self._numbers.update(_numbers_of(one))

    def _note_process(self, process: BaseProcess) -> None:
        started = getattr(process, "_popen", None)
        if started is not None:
            self._pids.add(started.pid)
            ends = getattr(getattr(started, "finalizer", None), "_args", ())
            self._numbers.update(number for number in ends if isinstance(number, int))


def _worked_for(thread: Any) -> Any:
    """The object of which a thread runs a method; the thread where it runs none."""
    return getattr(getattr(thread, "_target", None), "__self__", thread)


def _numbers_of(one: Any) -> Iterator[int]:
    """The descriptor of an object, asked for by code in C alone: a user's may do anything."""
    ask = next(filter(None, (vars(kind).get("fileno") for kind in type(one).__mro__)), None)
    number = None
    if isinstance(ask, MethodDescriptorType):
        try:
            number = ask(one)
        except (OSError, ValueError, RuntimeError, TypeError):
            return
    elif type(one).__module__ == "multiprocessing.connection":
        number = getattr(one, "_handle", None)
    if isinstance(number, int):
        yield number


def _referents(one: Any) -> list[Any]:
    if isinstance(one, FunctionType):
        # And not its module's names.
        return [*(one.__closure__ or ()), one.__defaults__, one.__kwdefaults__]
    return gc.get_referents(one)
