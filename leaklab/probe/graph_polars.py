"""What polars' frames and series hold: the buffers of their columns, through Arrow's C interface.

polars is not imported: its types are known by name, and its columns hand out addresses of what is
there (no code runs in its threads, nothing is copied). Only in a copy of the target, where the
handing out needs no end.
"""

import ctypes

# What leads to the series of each type.
WAYS = {"PyDataFrame": "get_columns", "PySeries": None}
# Bits of an element by Arrow's format; of dates and times, "td", most have 64.
_BITS = {
    "b": 1, "c": 8, "C": 8, "s": 16, "S": 16, "e": 16, "i": 32, "I": 32, "f": 32, "l": 64,
    "L": 64, "g": 64, "tdD": 32, "+l": 32, "+L": 64, "vu": 128, "vz": 128,
}  # fmt: skip


class _Array(ctypes.Structure):
    pass


class _Schema(ctypes.Structure):
    pass


_Array._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("buffer_count", ctypes.c_int64),
    ("child_count", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_Array))),
    ("dictionary", ctypes.c_void_p),
    ("release", ctypes.c_void_p),
    ("private", ctypes.c_void_p),
]
_Schema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_void_p),
    ("flags", ctypes.c_int64),
    ("child_count", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(_Schema))),
    ("dictionary", ctypes.c_void_p),
    ("release", ctypes.c_void_p),
    ("private", ctypes.c_void_p),
]


class PolarsParts:
    """The buffers of polars' objects."""

    def __init__(self, way, attributes):
        self._way = way
        self._attributes = attributes

    def held(self, one, memory, copy):
        """Tell ``memory`` of the buffers; no objects of Python's are held."""
        if not copy:
            return ()
        for series in self._attributes[self._way](one) if self._way else [one]:
            for chunk in series.get_chunks() if series.n_chunks() > 1 else [series]:
                for address, size_bytes in _exported(chunk):
                    memory.add(one, address, size_bytes)
        return ()


def _exported(chunk):
    array, schema = _Array(), _Schema()
    try:
        chunk._export_arrow_to_c(ctypes.addressof(array), ctypes.addressof(schema))
    except BaseException:  # a column of Python objects; Rust's panic is no Exception
        return ()
    return _buffers(array, schema)


def _buffers(array, schema):
    """Yield (address, bytes) of the buffers of an array and of those below it."""
    kind = schema.format.decode()
    count = array.offset + array.length
    held = [array.buffers[number] or 0 for number in range(array.buffer_count)]
    sizes = [(count + 7) // 8]  # a bit says what is missing
    if kind.startswith("v"):
        told = (ctypes.c_int64 * (len(held) - 3)).from_address(held.pop()) if held[3:] else ()
        sizes += [16 * count, *told]
    elif kind.startswith("+"):
        sizes.append(_BITS.get(kind, 0) // 8 * (count + 1))
    else:
        sizes.append((_bits(kind) * count + 7) // 8)
    for address, size_bytes in zip(held, sizes):
        if address and size_bytes:
            yield address, size_bytes
    for number in range(array.child_count):
        for found in _buffers(array.children[number][0], schema.children[number][0]):
            yield found


def _bits(kind):
    if kind.startswith("d:"):
        parts = kind[2:].split(",")
        return int(parts[2]) if len(parts) > 2 else 128
    return _BITS.get(kind, 64)
