"""Descriptors of the tracer stay open in a program that closes every descriptor there is.

A daemon closes whatever it may have inherited. The tracer's descriptors are among that, and memray
answers by aborting the process: it reads resident memory from one of them in a thread of its own,
which is also what keeps its stream moving. For the program they were never there: closing one fails
as closing an unused number does, closing a range leaves them out. Code in C that closes everything
does not ask here.
"""

import contextlib
import errno
import os
from typing import Dict, Iterator, List, Set, Tuple

from .unpatched import open_file

# What is ours lives above the numbers a program that closes "everything" reuses soon: the stream's
# sockets, a file of /proc without which memray aborts the process, and what libffi keeps open. The
# target's own descriptors keep the numbers they would have had.
_LOW = 128
# So many numbers are left where RLIMIT_NOFILE is lower than that.
_ROOM = 8

_below = {"close": os.close, "closerange": os.closerange}
_placed: "Set[str]" = set()
_own: "Dict[int, Tuple[int, int]]" = {}


@contextlib.contextmanager
def low_occupied() -> "Iterator[None]":
    """Whatever is opened within gets a number above the low ones.

    Entered before any other thread of ours opens a file, however briefly: the number it gives back
    would be the stream's.
    """
    taken: "List[int]" = []
    try:
        try:
            while not taken or taken[-1] < _LOW:
                taken.append(open_file(os.devnull, os.O_RDONLY))
        except OSError:
            for _ in range(min(_ROOM, len(taken))):
                os.close(taken.pop())
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)


def own(numbers):
    """Protect these open descriptors from now on, and no others; none: protect nothing."""
    _own.clear()
    _own.update((number, _identity(number)) for number in numbers)
    for name, ours in (("close", close), ("closerange", closerange)):
        found = getattr(os, name)
        if found is ours:
            if not _own:
                setattr(os, name, _below[name])
        elif _own and (name not in _placed or found is _below[name]):
            # Else somebody (gevent) has put a function of theirs over ours, which it still calls.
            _below[name] = found
            _placed.add(name)
            setattr(os, name, ours)


def own_numbers():
    """Return the descriptors that are protected."""
    return set(_own)


def close(fd):
    """Close a file descriptor."""
    if fd in _own and _is_own(fd):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    _below["close"](fd)


def closerange(fd_low, fd_high, /):
    """Closes all file descriptors in [fd_low, fd_high), ignoring errors."""
    for number in sorted(_own):
        if fd_low <= number < fd_high and _is_own(number):
            _below["closerange"](fd_low, number)
            fd_low = number + 1
    _below["closerange"](fd_low, fd_high)


def _is_own(number):
    """Whether the number still is what was opened: code in C closes without asking here."""
    try:
        return _identity(number) == _own[number]
    except OSError:
        return False


def _identity(number):
    status = os.fstat(number)
    return status.st_dev, status.st_ino
