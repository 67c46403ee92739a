"""How much is in a container, without running any code of the target's.

Lengths of built-in containers are asked of the built-in type itself, whatever a subclass defines;
of the named libraries' objects the attribute is read that their own counters read.
"""

import sys
from collections import OrderedDict, deque
from functools import lru_cache
from types import FunctionType

_MEMO = type(lru_cache(maxsize=1)(len))
_LENGTHS = (
    (OrderedDict, OrderedDict.__len__),
    (dict, dict.__len__),
    (list, list.__len__),
    (set, set.__len__),
    (frozenset, frozenset.__len__),
    (deque, deque.__len__),
    (tuple, tuple.__len__),
    (bytearray, bytearray.__len__),
)


class _Slotted:
    __slots__ = ("slot",)


_MEMBER = type(_Slotted.__dict__["slot"])
_GETSET = type(type.__dict__["__dict__"])

# (module the type comes from, its name): the attributes that lead to what is counted. A module
# stands for its sub-modules too, and a type for those derived from it.
_LIBRARIES = (
    ("queue", "Queue", ("queue",)),
    ("asyncio", "Queue", ("_queue",)),
    ("collections", "UserDict", ("data",)),
    ("collections", "UserList", ("data",)),
    ("weakref", "WeakValueDictionary", ("data",)),
    ("weakref", "WeakKeyDictionary", ("data",)),
    ("_weakrefset", "WeakSet", ("data",)),
    ("logging", "Logger", ("handlers",)),
    ("cachetools", "Cache", ("_Cache__data",)),
    ("psycopg2", "AbstractConnectionPool", ("_used",)),
    ("prometheus_client", "MetricWrapperBase", ("_metrics",)),
    ("concurrent.futures", "ThreadPoolExecutor", ("_threads",)),
    ("concurrent.futures", "ProcessPoolExecutor", ("_processes",)),
    ("urllib3", "PoolManager", ("pools", "_container")),
    ("celery", "Signal", ("receivers",)),
    ("django", "Signal", ("receivers",)),
    ("blinker", "Signal", ("receivers",)),
)


_PLAIN = dict(_LENGTHS)
# Of what says that it wraps itself there would be no end.
_DECORATOR_LIMIT = 20


def size_of(value):
    """Return how many entries ``value`` holds; None where that is not known."""
    kind = type(value)
    length = _PLAIN.get(kind)
    if length is not None:
        return length(value)
    if kind is _MEMO:
        return _MEMO.cache_info(value).currsize
    line = lineage(kind)
    for base, length in _LENGTHS:
        if base in line:
            return length(value)
    for base in line:
        for module, name, path in _LIBRARIES:
            if base.__name__ == name and _is_of(base, module):
                return _follow(value, path)
    return _of_sqlalchemy(value, line) if _is_of(kind, "sqlalchemy") else _of_jobs(value, line)


def lineage(kind):
    """Return the classes a class is made of, itself first."""
    return type.__getattribute__(kind, "__mro__")


def _is_of(kind, module):
    name = type.__getattribute__(kind, "__module__")
    return isinstance(name, str) and (name == module or name.startswith(module + "."))


def _follow(value, path):
    for name in path:
        value = attribute(value, name)
        if value is None:
            return None
    return size_of(value)


def attribute(value, name):
    """Return an attribute that an object really has, None for one that code would work out."""
    for base in lineage(type(value)):
        own = type.__dict__["__dict__"].__get__(base)
        found = own.get(name)
        if type(found) is _MEMBER:
            try:
                return found.__get__(value)
            except AttributeError:
                return None
        kind = type(own.get("__dict__"))
        if "__dict__" in own and kind is not _GETSET:
            return None
    try:
        return object.__getattribute__(value, "__dict__").get(name)
    except AttributeError:
        return None


def default_of(value, name):
    """Return what a parameter of a function is by default; None for what has no such parameter.

    Decorators are looked through where they tell what they wrap.
    """
    for _ in range(_DECORATOR_LIMIT):
        if type(value) is FunctionType:
            code, defaults = value.__code__, value.__defaults__ or ()
            names = code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount]
            if name in names:
                return defaults[names.index(name)]
            if name in (value.__kwdefaults__ or ()):
                return value.__kwdefaults__[name]
        value = attribute(value, "__wrapped__")
        if value is None:
            return None
    return None


def _of_sqlalchemy(value, line):
    """An engine's or pool's connections that are out, by the library's own counter."""
    pool = attribute(value, "pool") or value
    counter = getattr(type(pool), "checkedout", None)
    return counter(pool) if counter is not None and _is_of(type(pool), "sqlalchemy") else None


def _of_jobs(value, line):
    """The jobs of a scheduler of APScheduler 3, waiting and stored."""
    if not any(base.__name__ == "BaseScheduler" and _is_of(base, "apscheduler") for base in line):
        return None
    total = len(attribute(value, "_pending_jobs") or ())
    for store in dict.values(attribute(value, "_jobstores") or {}):
        total += len(attribute(store, "_jobs") or ())
    return total


def exit_callbacks():
    """Return how many functions are registered to run at exit; None where it is not told."""
    counter = getattr(sys.modules.get("atexit"), "_ncallbacks", None)
    return counter() if counter is not None else None
