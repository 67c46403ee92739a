"""What objects of extension modules hold in fields that Python is not told of.

A type without traversal, of a C extension most often, keeps references in its C structure, and one
with it may leave some out: io.StringIO before CPython 3.12 the texts not yet put together. To the
collector what they keep has no holder at all. But the structure is memory of a known size: a word
in it that is the address of an object is a reference to it, for nothing else looks like one.
"""

import gc
from array import array
from weakref import CallableProxyType, ProxyType, ReferenceType

from .graph_types import TYPE_SUBCLASS, basic_size_of, flags_of, module_of, mro_of, text, weak_place

try:
    from ctypes import string_at
except ImportError:
    string_at = None  # type: ignore[assignment]

# Count of references and type; an object's own fields come after them.
_HEAD_BYTES = 16
_WORD_BYTES = 8
# Objects lie at multiples of so many bytes, below this address: other words never leave the target.
_ALIGNED_BYTES = 16
_LARGEST_ADDRESS = 1 << 48
_LARGEST_BYTES = 4096
# Of so many objects of a type nobody holds others in secret; to look at them all would take long.
MOST_OBJECTS = 10_000
# They know the address of what they do not hold.
_WEAK = (ReferenceType, ProxyType, CallableProxyType)


def has_fields(kind):
    """Say whether objects of a type may hold others in fields nobody tells of."""
    if string_at is None or flags_of(kind) & TYPE_SUBCLASS:
        return False
    if any(base is weak for base in mro_of(kind) for weak in _WEAK):
        return False
    try:
        own = text(module_of(kind)) in ("builtins", "")
    except AttributeError:
        return False
    return not own and _HEAD_BYTES + _WORD_BYTES <= basic_size_of(kind) <= _LARGEST_BYTES


def fields_of(kind, part):
    """Return addresses of the objects in ``part`` and, in turn, what may be addresses in them.

    Not of what they tell the collector that they hold.
    """
    count = (basic_size_of(kind) - _HEAD_BYTES) // _WORD_BYTES
    weak = (weak_place(kind) - _HEAD_BYTES) // _WORD_BYTES  # nothing is held by being pointed at
    known = {0, *map(id, gc.get_referents(*part))}
    owners, held = array("Q"), array("Q")
    for address in map(id, part):
        words = array("Q", string_at(address + _HEAD_BYTES, count * _WORD_BYTES))
        if 0 <= weak < count:
            words[weak] = 0
        for word in words:
            if word < _LARGEST_ADDRESS and not word % _ALIGNED_BYTES and word not in known:
                owners.append(address)
                held.append(word)
    return owners, held
