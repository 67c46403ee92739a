"""Containers that are made to hold so many and no more, and how many they hold.

Read from fields and instance dicts; no code of the objects runs. A bound is known where the type
has one of its own (a deque, `functools.lru_cache`), or where an object or its class has a whole
number under a name that says so, such as `maxsize` (queues, caches, pools of connections), beside a
container that is no longer than that.
"""

import sys
import types
from collections import deque

from .graph_types import attributes_of, mro_of, type_name

_MOST = 1 << 31
# Without underscores and the name of the class that Python puts before private names.
BOUND_NAMES = frozenset(
    prefix + name
    for prefix in ("max", "maximum")
    for name in (
        "size", "len", "length", "count", "items", "entries", "keys", "elements", "records",
        "conn", "conns", "connections", "poolsize", "cachesize", "queuesize",
    )
) | {"capacity", "sizelimit", "poolsize"}  # fmt: skip
_FILL_NAMES = ("currsize", "currentsize")
_LENGTHS = (
    (dict, dict.__len__),
    (list, list.__len__),
    (set, set.__len__),
    (deque, deque.__len__),
)
_CELL = types.CellType.__dict__["cell_contents"].__get__
# So many objects of a type are asked for such a name before the type is passed over.
_TRIES = 3


def bounds_of(kind, part, dictionary, copy):
    """Return (object, attribute, bound, held) of those objects of one type that have a bound.

    ``attribute``: which one of the object is bounded; "" for the object itself. ``dictionary``:
    getter of an instance's ``__dict__``, or None. Without ``copy`` nothing may be created in the
    process.
    """
    bases = mro_of(kind)
    if any(base is deque for base in bases):
        read = deque.__dict__["maxlen"].__get__
        return [(one, "", read(one), deque.__len__(one)) for one in part if read(one)]
    if type_name(kind) == "functools._lru_cache_wrapper":
        return [found for one in part for found in _of_lru_cache(one)] if copy else []
    if dictionary is None or (not copy and sys.version_info >= (3, 11)):
        return []
    shared = _of_class(bases)
    named = shared or any(_bound(dictionary(one)) for one in part[:_TRIES])
    if not named:
        return []
    return [(one, *found) for one in part for found in _of_instance(one, dictionary(one), shared)]


def _of_lru_cache(one):
    """Yield the bound of an lru_cache: it stands in the closure of what tells its parameters."""
    tell = dict.get(_attributes(one), "cache_parameters")
    if type(tell) is not types.FunctionType or not tell.__closure__:
        return
    cells = dict(zip(tell.__code__.co_freevars, tell.__closure__))
    try:
        bound = _CELL(cells["maxsize"])
    except (KeyError, ValueError):
        return
    if _is_bound(bound):
        info = type(one).__dict__["cache_info"](one)
        yield one, "", bound, info[3]


def _attributes(one):
    found = type(one).__dict__["__dict__"].__get__(one)
    return found if type(found) is dict else {}


def _of_class(bases):
    """Return the bound that a class written in Python gives all its instances, 0 without one."""
    for base in bases:
        if base is not object:
            found = _bound(attributes_of(base))
            if found:
                return found
    return 0


def _of_instance(one, attributes, shared):
    """Yield the containers of one instance, itself too, that are no longer than its bound."""
    if type(attributes) is not dict:
        return
    bound = _bound(attributes) or shared
    if not bound:
        return
    said = [value for name, value in dict.items(attributes) if _plain(name) in _FILL_NAMES]
    for name, value in (("", one), *dict.items(attributes)):
        held = _length(value)
        if held is not None and type(name) is str and 0 < held <= bound:
            # A cache may count in another unit than entries, and says so.
            told = said[0] if said and type(said[0]) is int else held
            yield name, bound, told


def _bound(attributes):
    for name, value in list(dict.items(attributes)):
        if _is_bound(value) and _plain(name) in BOUND_NAMES:
            return value
    return 0


def _is_bound(value):
    return type(value) is int and 1 < value < _MOST


def _plain(name):
    """Return a name in lower case without underscores, and without a private name's class."""
    if type(name) is not str:
        return ""
    if name.startswith("_") and "__" in name[1:]:
        name = name[1:].partition("__")[2]
    return name.replace("_", "").lower()


def _length(value):
    for base in mro_of(type(value)):
        for kind, length in _LENGTHS:
            if base is kind:
                return length(value)
    return None
