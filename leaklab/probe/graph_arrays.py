"""What arrays hold beside Python's references: numpy's data, Arrow's buffers, torch's storages.

The collector knows nothing of them: ``ndarray`` has no traversal, a view does not show what owns
its bytes, and an Arrow column is memory of C++. No library is imported here: their types are
recognised by name and asked through descriptors written in C that read fields. What a memory map
holds is in graph_maps, what polars holds in graph_polars.

Memory without an object of its own becomes a node of its own, at the address of the memory, so
that it is counted once however many slices share it.
"""

from array import array
from itertools import islice

from .graph_types import HEAP_TYPE, attributes_of, flags_of, mro_of, type_name

try:
    from . import graph_maps, graph_polars
except ImportError:  # no ctypes: then there are no copies either, and these are read in copies only
    graph_maps = graph_polars = None  # type: ignore[assignment]

# Elements handled at a time.
_SLICE = 20000
_OBJECT_DTYPES = ("numpy.dtypes.ObjectDType", "numpy.dtype[object_]", "numpy.dtype[object]")


def parts_of(kind):
    """Return what tells the parts of objects of a type, None for types that need nothing."""
    for base in mro_of(kind):
        name = type_name(base)
        if graph_polars is not None and name in graph_polars.WAYS:
            return graph_polars.PolarsParts(graph_polars.WAYS[name], attributes_of(base))
        if graph_maps is not None and name == "mmap.mmap":
            return graph_maps.MapParts(attributes_of(base))
        if flags_of(base) & HEAP_TYPE:
            continue
        if name in _TORCH:
            return _TorchParts(_TORCH[name], attributes_of(base))
        if name == "numpy.ndarray":
            return _ArrayParts(attributes_of(base))
        if name in _ARROW:
            return _ArrowParts(_ARROW[name], attributes_of(base))
    return None


class NativeMemory:
    """Blocks of memory that are no objects: address, bytes, and who holds them.

    ``target_pid``: the process that this one is a copy of.
    """

    def __init__(self, target_pid):
        self.target_pid = target_pid
        self._bytes = {}
        self._unplaced = {}
        self._held = []

    def add(self, owner, address, size_bytes):
        """Note that ``owner`` holds so many bytes at an address (nodes are told apart by it)."""
        address -= address % 16  # as every object; a slice of a buffer is its buffer
        self._bytes[address] = max(size_bytes, self._bytes.get(address, 0))
        self._held.append((id(owner), address))

    def add_unplaced(self, owner, object_address, size_bytes):
        """Note that ``owner`` holds so many bytes nobody knows where, by way of an object."""
        address = object_address + 16  # within the object: no other one is there
        self._unplaced[address] = max(size_bytes, self._unplaced.get(address, 0))
        self._held.append((id(owner), address))

    def nodes(self):
        """Return the addresses and the bytes; a block inside of another is that one."""
        self._whole, starts, end = {}, array("Q"), 0
        for address in sorted(self._bytes):
            if address >= end:
                starts.append(address)
            self._whole[address] = starts[-1]
            end = max(end, address + self._bytes[address])
            self._bytes[starts[-1]] = end - starts[-1]
        sizes = array("Q", map(self._bytes.__getitem__, starts))
        return starts + array("Q", self._unplaced), sizes + array("Q", self._unplaced.values())

    def edges(self):
        """Return owners' addresses, edges per owner (one) and the blocks' addresses."""
        owners = array("Q", [owner for owner, _ in self._held])
        targets = array("Q", [self._whole.get(to, to) for _, to in self._held])
        return owners, array("I", [1]) * len(owners), targets


class _ArrayParts:
    """The base of an ndarray, and its elements where they are objects."""

    def __init__(self, attributes):
        self._base = attributes["base"].__get__
        self._flat = attributes["flat"].__get__
        self._dtype = attributes["dtype"].__get__
        self._nbytes = attributes["nbytes"].__get__

    def held(self, one, memory, copy):
        """Yield (label, objects) of what ``one`` holds, in portions."""
        base = self._base(one)
        if base is not None:
            yield ".base", [base]
            if type_name(type(base)) == "PyCapsule":  # bytes of somebody who has no object
                memory.add_unplaced(base, id(base), self._nbytes(one))
        if any(type_name(each) == "numpy.ndarray" for each in mro_of(type(base))):
            return  # what owns the elements shows them
        if type_name(type(self._dtype(one))) in _OBJECT_DTYPES:
            elements = self._flat(one)
            portion = list(islice(elements, _SLICE))
            while portion:
                yield "item", portion
                portion = list(islice(elements, _SLICE))


# What leads to the buffers of each of Arrow's types.
_ARROW = {
    "pyarrow.lib.Array": "buffers",
    "pyarrow.lib.ChunkedArray": "chunks",
    "pyarrow.lib.RecordBatch": "columns",
    "pyarrow.lib.Table": "columns",
    "pyarrow.lib.Buffer": "parent",
}


class _ArrowParts:
    """The buffers of Arrow's objects. Only in a copy: reading them makes objects."""

    def __init__(self, way, attributes):
        self._way = way
        self._attributes = attributes

    def held(self, one, memory, copy):
        """Tell ``memory`` of the buffers; no objects of Python's are held."""
        if copy:
            for buffer in self._buffers(one):
                if buffer is not None and buffer.address and buffer.size:
                    memory.add(one, buffer.address, buffer.size)
        return ()

    def _buffers(self, one):
        if self._way == "parent":
            return [one]
        if self._way == "buffers":
            return self._attributes["buffers"](one)
        parts = []
        for part in _field(one, self._way):
            parts += _field(part, "chunks") if hasattr(type(part), "chunks") else [part]
        return [buffer for part in parts for buffer in part.buffers()]


def _field(one, name):
    """Read a property that the library's own type defines, whatever a subclass makes of it."""
    for base in mro_of(type(one)):
        if name in attributes_of(base) and not flags_of(base) & HEAP_TYPE:
            return attributes_of(base)[name].__get__(one)
    return ()


# What leads to the storage of each of torch's types.
_TORCH = {"torch._C.TensorBase": "untyped_storage", "torch._C.StorageBase": None}


class _TorchParts:
    """The storage of torch's tensors, in the machine's own memory. Only in a copy."""

    def __init__(self, way, attributes):
        self._way = way
        self._attributes = attributes

    def held(self, one, memory, copy):
        """Tell ``memory`` of the storage; no objects of Python's are held."""
        if copy:
            try:
                storage = self._attributes[self._way](one) if self._way else one
                if storage.device.type == "cpu" and storage.nbytes():
                    memory.add(one, storage.data_ptr(), storage.nbytes())
            except Exception:  # a layout without a storage
                pass
        return ()
