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
from collections.abc import Callable, Iterable
from functools import partial
from multiprocessing.process import BaseProcess
from operator import attrgetter
from types import (
    CodeType,
    FrameType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
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

# A walk over so many objects takes a fifth of a second; the nearest come first.
MOST_OBJECTS = 200_000
# What leads to all of the process, or of the session, and not to what one fixture holds. What a
# loop is to call later (a handle) belongs to whoever asked for it.
_PASSED = (
    type(None),
    int,
    float,
    str,
    bytes,
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


class Reach:
    """All that ``roots`` lead to; ``database_of`` says which file a connection of sqlite3 is of."""

    def __init__(
        self, roots: Iterable[Any], database_of: Callable[[Any], str | None] = lambda _: None
    ) -> None:
        self._database_of = database_of
        # Kept, so that no number is given to another object meanwhile.
        self._objects: dict[int, Any] = {}
        self._notes: dict[type, Callable[[Any], None] | None] = {}
        self._numbers: set[int] = set()
        self._pids: set[int] = set()
        self._databases: set[str] = set()
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
        while level:
            new = []
            for one in level:
                if len(self._objects) >= MOST_OBJECTS:
                    return
                if id(one) in self._objects:
                    continue
                note = self._note_of(type(one))
                if note is None:
                    continue
                self._objects[id(one)] = one
                note(one)
                new.append(one)
            level = [under for one in new for under in _referents(one)]

    def _note_of(self, kind: type) -> Callable[[Any], None] | None:
        """What is done with objects of a type; None where the walk passes them.

        By their type alone: an object's own attributes may be code of a user, and do anything.
        """
        if kind not in self._notes:
            package = str(kind.__module__).partition(".")[0]
            passed = issubclass(kind, _PASSED) or package in _PASSED_PACKAGES
            self._notes[kind] = None if passed else self._noting(kind)
        return self._notes[kind]

    def _noting(self, kind: type) -> Callable[[Any], None]:
        if issubclass(kind, subprocess.Popen):
            return lambda popen: self._pids.add(popen.pid)
        if issubclass(kind, BaseProcess):
            return self._note_process
        if issubclass(kind, sqlite3.Connection):
            return lambda connection: self._databases.add(self._database_of(connection) or "")
        asked = next(filter(None, (vars(base).get("fileno") for base in kind.__mro__)), None)
        if isinstance(asked, MethodDescriptorType):
            return partial(self._note_number, asked)
        if kind.__module__ == "multiprocessing.connection":
            return partial(self._note_number, attrgetter("_handle"))
        return lambda _: None

    def _note_number(self, ask: Callable[[Any], Any], one: Any) -> None:
        try:
            number = ask(one)
        except (AttributeError, OSError, ValueError, RuntimeError, TypeError):
            return  # closed, or detached
        if isinstance(number, int):
            self._numbers.add(number)

    def _note_process(self, process: BaseProcess) -> None:
        started = getattr(process, "_popen", None)
        if started is not None:
            self._pids.add(started.pid)
            ends = getattr(getattr(started, "finalizer", None), "_args", ())
            self._numbers.update(number for number in ends if isinstance(number, int))


def _worked_for(thread: Any) -> Any:
    """The object of which a thread runs a method; the thread where it runs none."""
    target = getattr(thread, "_target", None)
    return target.__self__ if isinstance(target, MethodType) else thread


def _referents(one: Any) -> list[Any]:
    if type(one) is FunctionType:
        # And not its module's names.
        return [*(one.__closure__ or ()), one.__defaults__, one.__kwdefaults__]
    return gc.get_referents(one)
