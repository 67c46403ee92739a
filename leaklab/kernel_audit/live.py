"""What goes on beside the cells and holds objects: threads, tasks, callbacks, exits, handlers,
contexts.

Runs in the kernel itself, so it is the standard library only. What is found is found again when its
line is executed (:func:`let_go`): such things have no names that would last.
"""

from __future__ import annotations

import atexit
import gc
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from leaklab.errors import LeaklabError, UsageError
from leaklab.kernel_audit.caches import is_users
from leaklab.kernel_audit.cells import Cells, current_shell
from leaklab.kernel_audit.groups import JUPYTER, Group
from leaklab.kernel_audit.lines import called, together
from leaklab.probe.task_names import coroutine_name, own_name

# By what a loop, a future or a cancelled wait holds a task; all of it goes with the task.
# From 3.14 on what a task waits for knows the task.
_HOLD_A_TASK = [
    "TaskStepMethWrapper",
    "builtin_function_or_method",
    "_asyncio.Future",
    "_asyncio.Task",
]
_HOLD_A_VALUE = [
    "_contextvars.Context",
    *(f"hamt_{kind}_node" for kind in ("bitmap", "array", "collision")),
]
_LOOPS = frozenset(("asyncio", "_asyncio", "tornado"))
_NOT_THE_USERS = JUPYTER | _LOOPS | {"leaklab"}
_MOST_WRAPPERS = 8


@dataclass
class Live:
    """Something that goes on. key: what it is told by. stops: what ends it, each to be called;
    None where nothing does. code: of the function it runs. held, sources: addresses of what it
    holds, and of what that is held by. count: how many of the same name."""

    kind: str
    key: str
    stops: list[Callable[[], Any]] | None
    code: Any = None
    held: list[int] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)
    count: int = 1


def live_groups(shell: Any, namespace: Mapping[str, Any], cells: Cells) -> Iterator[Group]:
    """A group for each thread, task, callback, exit function, log handler and context variable
    that is not the kernel's own; those of the same name are one."""
    several = _merged(_live(shell))
    for one in several:
        yield Group(
            key=one.key,
            kind=one.kind,
            title=f"{one.count} × {one.key}" if one.count > 1 else one.key,
            line=called("leaklab", f"let_go({one.key!r})", namespace) if one.stops else "",
            cell=cells.of_file(getattr(one.code, "co_filename", "")),
            type=one.kind,
            targets=one.held,
            sources=one.sources,
            source_types=_HOLD_A_TASK if one.kind == "task" else [],
            root_kind=one.kind if one.kind in ("thread", "task", "atexit") else None,
            root_name=_thread_name(one.key) if one.kind == "thread" else None,
        )
    yield Group(
        key="atexit arguments",
        kind="atexit",
        title="arguments given to atexit.register: they go with the functions",
        line="",
        root_kind="atexit",
        root_name="",
    )
    copied = any(one.kind in ("task", "call") for one in several)
    yield from _context_groups(namespace, cells, copied)


def let_go(key: str) -> None:
    """End what an audit calls ``key``: cancel a task, a call or a timer, take a callback back.

    >>> import threading
    >>> timer = threading.Timer(3600, print)
    >>> timer.start()
    >>> ll.let_go(f"thread {timer.name}: print()")

    Raises LeaklabError for what is not there (any more) and what only ends by itself.
    """
    if not isinstance(key, str):
        raise UsageError(f"no key: a {type(key).__name__}; ll.kernel() says what things are called")
    for one in _merged(_live(current_shell())):
        if one.key == key and one.stops:
            for stop in one.stops:
                stop()
            return
    raise LeaklabError(f"nothing to let go of: {key}; ask ll.kernel() what there is")


def _live(shell: Any) -> Iterator[Live]:
    yield from _threads()
    yield from _tasks()
    yield from _calls()
    yield from _events(shell)
    yield from _exits()
    yield from _handlers()


def _merged(several: Iterable[Live]) -> list[Live]:
    found: dict[str, Live] = {}
    for one in several:
        first = found.setdefault(one.key, one)
        if first is not one:
            first.stops = None if None in (first.stops, one.stops) else first.stops + one.stops  # type: ignore[operator]
            first.count += 1
            first.held += one.held
            first.sources += one.sources
    return list(found.values())


def _threads() -> Iterator[Live]:
    main = threading.main_thread()
    found = []
    for one in threading.enumerate():
        fields = vars(one)
        stops = [one.cancel] if isinstance(one, threading.Timer) else None
        target = fields.get("function" if stops else "_target")
        if one is main or _is_ours(one) or (target is not None and _is_ours(target)):
            continue
        runs = _name(target) if target is not None else f"{type(one).__qualname__}.run()"
        code = _code(target if target is not None else type(one).run)
        found.append((one, Live("thread", f"thread {one.name}: {runs}", stops, code, [id(one)])))
    holders = _holders_of_threads([one for one, _ in found])
    for _, live in found:
        live.sources = holders
        yield live


# The calls at the bottom of a thread's stack; from 3.14 on a context calls the second.
_BEGINNINGS = ("_bootstrap", "run")


def _holders_of_threads(threads: list[threading.Thread]) -> list[int]:
    """Return the addresses of what the interpreter and the debugger hold running threads by."""
    if not threads:
        return []
    tables = {id(threading._active)}  # type: ignore[attr-defined]
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in JUPYTER:
            values = list(getattr(module, "__dict__", {}).values())
            tables.update(id(value) for value in values if type(value) is dict)
    return [
        id(one)
        for one in gc.get_referrers(*threads)
        if id(one) in tables or (type(one) is MethodType and one.__func__.__name__ in _BEGINNINGS)
    ]


def _thread_name(key: str) -> str:
    return key.removeprefix("thread ").rpartition(": ")[0]


def _tasks() -> Iterator[Live]:
    """The tasks that wait; the one that runs this cell is the kernel's own."""
    for task in _instances("Task"):
        coroutine = task.get_coro()
        frame = getattr(coroutine, "cr_frame", None)
        package = "" if frame is None else str(frame.f_globals.get("__name__")).partition(".")[0]
        if task.done() or package in JUPYTER or package == "leaklab":
            continue
        runs = f"{coroutine_name(coroutine) or type(coroutine).__qualname__}()"
        name = own_name(task.get_name())
        loop = task.get_loop()
        yield Live(
            "task",
            f"task {name}: {runs}" if name else f"task {runs}",
            None if loop.is_closed() else [partial(loop.call_soon_threadsafe, task.cancel)],
            getattr(coroutine, "cr_code", None),
            [id(task)],
        )


def _calls() -> Iterator[Live]:
    """What event loops are to call: soon, at a time, or when a descriptor is ready."""
    for loop in _instances("BaseEventLoop"):
        fields = vars(loop)
        handles = [*list(fields.get("_ready", ())), *list(fields.get("_scheduled", ()))]
        selector = fields.get("_selector")
        stops = {id(one): one.cancel for one in handles}
        watched = selector.get_map() if selector is not None else None  # None once it is closed
        for key in list((watched or {}).values()):
            removals = (loop.remove_reader, loop.remove_writer)
            for one, remove in zip(key.data or (), removals, strict=False):
                if hasattr(one, "_callback"):
                    handles.append(one)
                    stops[id(one)] = partial(loop.call_soon_threadsafe, remove, key.fd)
        for handle in handles:
            callback, arguments = handle._callback, handle._args
            function, stop = _innermost(callback, arguments or ())
            if callback is None or handle.cancelled() or _is_ours(function):
                continue
            yield Live(
                "call",
                f"call on the event loop: {_name(function)}",
                [stop or stops[id(handle)]],
                _code(function),
                [id(callback), *([id(arguments)] if arguments else [])],
                [id(handle)],
            )


def _innermost(callback: Any, arguments: tuple[Any, ...]) -> tuple[Any, Any]:
    """Return what a call comes to, through partials and wrappers of the loops', and what stops it
    where that is more than to cancel it once."""
    for _ in range(_MOST_WRAPPERS):
        owner: Any = getattr(callback, "__self__", None)
        if type(callback) is partial:
            callback, arguments = callback.func, (*callback.args, *arguments)
        elif type(owner).__qualname__ == "PeriodicCallback" and _is_ours(owner):
            return owner.callback, owner.stop
        elif _is_ours(callback) and arguments and callable(arguments[0]):
            callback, arguments = arguments[0], arguments[1:]
        else:
            break
    return callback, None


def _events(shell: Any) -> Iterator[Live]:
    """What IPython calls around each cell."""
    for event, functions in getattr(getattr(shell, "events", None), "callbacks", {}).items():
        for function in list(functions):
            if not _is_ours(function):
                stop = partial(shell.events.unregister, event, function)
                name = f"IPython event {event}: {_name(function)}"
                yield Live("event", name, [stop], _code(function), [id(function)], [id(functions)])


class _Listener:
    """Equal to nothing: atexit compares it with each of its functions, and so they are heard of."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        self.heard.append(other)
        return False


def _exits() -> Iterator[Live]:
    """What atexit will call; it has no list that one could read."""
    listener = _Listener()
    atexit.unregister(listener)  # type: ignore[arg-type]
    for function in listener.heard:
        if not _is_ours(function) and not _is_standard(function):
            stop = partial(atexit.unregister, function)
            name = f"atexit: {_name(function)}"
            yield Live("atexit", name, [stop], _code(function), [id(function)])


def _handlers() -> Iterator[Live]:
    """What loggers hand their records to; some keep them."""
    every = (logging.getLogger(), *list(logging.Logger.manager.loggerDict.values()))
    for logger in [one for one in every if isinstance(one, logging.Logger)]:
        for handler in list(logger.handlers):
            if not _is_ours(handler):
                stop = partial(logger.removeHandler, handler)
                name = f"log handler of {logger.name}: {type(handler).__qualname__}"
                yield Live("handler", name, [stop], None, [id(handler)], [id(logger.handlers)])


def _context_groups(namespace: Mapping[str, Any], cells: Cells, copied: bool) -> Iterator[Group]:
    """A group for each context variable; ``copied``: whether tasks or calls have begun, which keep
    what the context held then."""
    modules = list(sys.modules.items())
    homes = {"__main__": namespace}
    homes.update((name, vars(module)) for name, module in modules if is_users(name, module))
    bound = {
        id(value): (module, name)
        for module, names in homes.items()
        for name, value in list(names.items())
        if type(value) is ContextVar and name.isidentifier()
    }
    of_name: dict[str, list[tuple[ContextVar[Any], Any]]] = {}
    for variable, value in copy_context().items():
        of_name.setdefault(variable.name, []).append((variable, value))
    for shown, several in of_name.items():
        places = [bound[id(one)] for one, _ in several if id(one) in bound]
        # Of a library's nobody knows whether they may be set to None. Of set() nothing is shown.
        lines = [called(module, f"{name}.set(None);", namespace) for module, name in places]
        kinds = ", ".join(dict.fromkeys(type(value).__name__ for _, value in several))
        kept = "; tasks and calls begun meanwhile keep it too" if copied else ""
        yield Group(
            key=f"context variable {shown}",
            kind="context",
            title=f"context variable {shown}: {kinds}{kept}",
            line=together(lines) if len(lines) == len(several) else "",
            cell=cells.of_name(places[0][1]) if places and places[0][0] == "__main__" else None,
            type=kinds,
            targets=[id(value) for _, value in several],
            source_types=_HOLD_A_VALUE,
            root_kind="context",
            root_name=f"contextvar {shown}",
        )


def _instances(name: str) -> list[Any]:
    """Return the objects of one of asyncio's classes, and of those derived from it."""
    asyncio = sys.modules.get("asyncio")
    todo = [] if asyncio is None else [getattr(asyncio, name)]
    kinds = set(todo)
    while todo:
        below = [one for one in type.__subclasses__(todo.pop()) if one not in kinds]
        kinds.update(below)
        todo += below
    return [one for one in gc.get_objects() if type(one) in kinds] if kinds else []


def _function(function: Any) -> Any:
    while type(function) in (MethodType, partial):
        function = function.__func__ if type(function) is MethodType else function.func
    return function


def _name(function: Any) -> str:
    found = _function(function)
    if type(found) in (FunctionType, BuiltinFunctionType) or isinstance(found, type):
        return f"{found.__qualname__}()"
    return f"{type(found).__qualname__}()"


def _code(function: Any) -> Any:
    return getattr(_function(function), "__code__", None)


def _package(one: Any) -> str:
    function = _function(one)
    if type(function) is BuiltinFunctionType and not isinstance(function.__self__, ModuleType):
        function = type(function.__self__)
    elif type(function) is not FunctionType and not isinstance(function, type):
        function = type(function)
    return str(getattr(function, "__module__", "")).partition(".")[0]


def _is_ours(one: Any) -> bool:
    return _package(one) in _NOT_THE_USERS


def _is_standard(one: Any) -> bool:
    package = _package(one)
    return package in sys.stdlib_module_names and package not in ("__main__", "builtins")
