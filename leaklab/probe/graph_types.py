"""What the walker needs to know about a type, learnt without running any code of the target.

Everything goes through descriptors of ``type`` itself, so that metaclasses with their own
``__getattribute__``, ``__hash__`` or ``__eq__`` are never asked.
"""

import gc
import sys
import types
from _thread import _local
from collections import deque

_TYPE = type.__dict__
flags_of = _TYPE["__flags__"].__get__
name_of = _TYPE["__qualname__"].__get__
module_of = _TYPE["__module__"].__get__
basic_size_of = _TYPE["__basicsize__"].__get__
weak_place = _TYPE["__weakrefoffset__"].__get__
_mro = _TYPE["__mro__"].__get__
_proxy = _TYPE["__dict__"].__get__

HAVE_GC = 1 << 14
HEAP_TYPE = 1 << 9
TYPE_SUBCLASS = 1 << 31
DICT_SUBCLASS = 1 << 29
SEQUENCE_SUBCLASS = (1 << 25) | (1 << 26)

_SEQUENCES = (list, tuple, set, frozenset, deque)
_C_SIZEOF = (types.MethodDescriptorType, types.WrapperDescriptorType)
_GETSET = types.GetSetDescriptorType
_MEMBER = types.MemberDescriptorType

# Getters implemented in C that only read a field, by the type that defines them.
_READERS = {
    types.FunctionType: ("__defaults__", "__kwdefaults__", "__code__"),
    types.GeneratorType: ("gi_yieldfrom",),
    types.CoroutineType: ("cr_await",),
    types.AsyncGeneratorType: ("ag_await",),
    types.TracebackType: ("tb_next",),
    BaseException: ("__traceback__", "__context__", "__cause__", "args"),
}
_FUTURE_READERS = ("_coro", "_fut_waiter", "_result", "_exception", "_loop")
_FRAME_GETTERS = {
    types.GeneratorType: types.GeneratorType.__dict__["gi_frame"].__get__,
    types.CoroutineType: types.CoroutineType.__dict__["cr_frame"].__get__,
    types.AsyncGeneratorType: types.AsyncGeneratorType.__dict__["ag_frame"].__get__,
}
_NAME_GETTERS = {
    kind: kind.__dict__["__qualname__"].__get__
    for kind in (
        types.FunctionType,
        types.GeneratorType,
        types.CoroutineType,
        types.AsyncGeneratorType,
    )
}


def mro_of(kind):
    """Return the bases of a type in method resolution order, itself first."""
    return _mro(kind) or (kind,)  # None for a static type that was never made ready


def attributes_of(kind):
    """Return the dict behind ``kind.__dict__``."""
    proxy = _proxy(kind)
    return {} if proxy is None else gc.get_referents(proxy)[0]


def text(value, length=120):
    """Return ``value`` if it is a plain string, cut to ``length``; else an empty string."""
    return value[:length] if type(value) is str else ""


def type_name(kind):
    """Return ``module.qualname`` of a type, without the module for builtins."""
    name = text(name_of(kind)) or "?"
    try:
        module = text(module_of(kind))
    except AttributeError:
        module = ""
    return name if module in ("builtins", "") else module + "." + name


def interned_texts(objects):
    """Return the interpreter's own table of interned texts, as a list, if it is among the objects.

    From 3.14 on the collector knows it, and it keeps none of its texts alive.
    """
    mark = sys.intern("of all dicts only that table has this: %d" % id(objects))
    return [one for one in objects if type(one) is dict and dict.get(one, mark) is mark]


class TypeFacts:
    """How objects of one type are walked.

    ``way``: "atom" (holds nothing), "array", "dict", "sequence", "instance" (attributes in a
    ``__dict__`` and nothing else), or "general". ``readers``: (label, getter) for single fields.
    ``dictionary``: getter of the instance's ``__dict__`` or None. ``frame``: getter of the frame or
    None.
    ``parts``: tells what arrays hold, or None (see graph_arrays).
    ``label``: getter of an object's own name or None. ``is_local``: a thread-local. ``size``: None
    where sys.getsizeof is safe,
    else the size to assume.
    """

    __slots__ = (
        "dictionary",
        "frame",
        "is_local",
        "kind",
        "label",
        "name",
        "number",
        "parts",
        "readers",
        "size",
        "way",
    )

    def __init__(self, kind, number, parts=None):
        self.kind = kind
        self.number = number
        self.name = type_name(kind)
        flags = flags_of(kind)
        self.label = type_name if flags & TYPE_SUBCLASS else _NAME_GETTERS.get(_plain(kind))
        self.frame = _FRAME_GETTERS.get(_plain(kind))
        self.readers, self.dictionary = _readers(kind)
        self.size = _assumed_size(kind, flags)
        self.is_local = any(base is _local for base in mro_of(kind))
        self.parts = parts
        self.way = self._way(flags)

    def _way(self, flags):
        if not flags & HAVE_GC:
            return "array" if self.parts is not None else "atom"
        if self.kind is dict:
            return "dict"
        if any(self.kind is kind for kind in _SEQUENCES):
            return "sequence"
        if self.kind is types.FrameType:
            return "frame"
        bases = mro_of(self.kind)[:-1]
        plain = self.dictionary is not None and not self.readers and self.parts is None
        if plain and all(flags_of(base) & HEAP_TYPE for base in bases) and _is_python(self.kind):
            return "instance"
        return "general"


def _plain(kind):
    """Return ``kind`` where it may be hashed: a class of the interpreter's own; else None."""
    return None if type(kind) is not type or flags_of(kind) & HEAP_TYPE else kind


def _is_python(kind):
    """Say whether instances consist of a dict and a place for weak references, nothing else.

    A heap type made in C may hold more; it shows in its size.
    """
    room = 2 if sys.version_info < (3, 12) else 0  # from 3.12 on both lie before the object
    return basic_size_of(kind) <= object.__basicsize__ + 8 * room


def _readers(kind):
    """Return the getters of single fields of a type, and the one of its ``__dict__``."""
    readers = []
    dictionary = None
    for base in mro_of(kind):
        attributes = attributes_of(base)
        known = _READERS.get(_plain(base), ())
        if type_name(base) in ("_asyncio.Future", "_asyncio.Task"):
            known = _FUTURE_READERS
        for name, value in list(dict.items(attributes)):
            if type(name) is not str:
                continue
            if type(value) is _MEMBER and value.__objclass__ is base:
                readers.append((name, value.__get__))
            elif type(value) is _GETSET and _is_own(value.__objclass__, base):
                if name in known:
                    readers.append((name, value.__get__))
                elif (
                    name == "__dict__" and dictionary is None and not flags_of(kind) & TYPE_SUBCLASS
                ):
                    dictionary = value.__get__
    if kind is types.FunctionType:
        dictionary = None  # its getter creates the dict, and few functions have one
    return readers, dictionary


def _is_own(owner, base):
    """Say whether a getter is the type's own: from 3.15 on ``__dict__`` is one of ``object``."""
    return owner is base or owner is object


def _assumed_size(kind, flags):
    for base in mro_of(kind):
        attributes = attributes_of(base)
        if "__sizeof__" in attributes:
            if type(attributes["__sizeof__"]) in _C_SIZEOF:
                return None
            break
    return basic_size_of(kind) + (16 if flags & HAVE_GC else 0)


def frame_function(frame):
    """Return the name of a frame's function."""
    code = frame.f_code
    return text(getattr(code, "co_qualname", None) or code.co_name)


def default_names(function):
    """Return the names of a function's positional parameters that have defaults."""
    code = function.__code__
    defaults = function.__defaults__ or ()
    return code.co_varnames[: code.co_argcount][code.co_argcount - len(defaults) :]


# A small int takes this much from the allocator, more than sys.getsizeof says.
LEAST_INT_BYTES = 32 if sys.version_info >= (3, 11) else 28


class InlineBytes(dict):
    """Bytes of the attribute values an instance holds without a dict, by its dict's size.

    sys.getsizeof leaves them out; the dict that the walk makes of them tells how many there are.
    """

    def __missing__(self, dict_bytes):
        if sys.version_info < (3, 11):
            extra_bytes = dict_bytes
        else:
            count = max(0, dict_bytes - dict.__basicsize__ - 16) // 8
            if sys.version_info < (3, 13):
                extra_bytes = 8 * count + (count + 2 + 7) // 8 * 8
            else:
                extra_bytes = 8 * (count + 1) + (count + 7) // 8 * 8
        self[dict_bytes] = extra_bytes
        return extra_bytes
