"""What a memory map holds: the pages of it that are there, not those that were only reserved."""

import ctypes
import os
from array import array

from . import unpatched

_PAGE = os.sysconf("SC_PAGE_SIZE")
_HEAD = 16  # where an object's own fields begin
# Of the 64 bits the kernel tells of a page: in memory, or swapped out.
_THERE = 62
_SLICE = 1 << 16


class MapParts:
    """The pages of a ``mmap``. Only in a copy, where nothing can close it meanwhile."""

    def __init__(self, attributes):
        self._length = attributes["__len__"]

    def held(self, one, memory, copy):
        """Tell ``memory`` of the pages; no objects of Python's are held."""
        if copy:
            try:
                length = self._length(one)
            except ValueError:  # it is closed
                return ()
            address, size = (ctypes.c_size_t.from_address(id(one) + _HEAD + at) for at in (0, 8))
            if address.value and size.value == length:
                count = _pages_there(memory.target_pid, address.value, length)
                memory.add(one, address.value, length if count is None else count * _PAGE)
        return ()


def _pages_there(pid, address, length):
    """Return how many pages of a process's memory exist; None where the kernel does not say."""
    count = -(-length // _PAGE)
    found = 0
    try:
        file = unpatched.open_file("/proc/%d/pagemap" % pid, os.O_RDONLY)
    except OSError:
        return None
    try:
        for start in range(0, count, _SLICE):
            wanted = min(_SLICE, count - start)
            told = array("Q", os.pread(file, 8 * wanted, 8 * (address // _PAGE + start)))
            found += sum(1 for page in told if page >> _THERE)
    except (OSError, ValueError):
        return None
    finally:
        os.close(file)
    return found
