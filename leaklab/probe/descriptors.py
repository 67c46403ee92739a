"""Descriptors of the tracer stay open in a program that closes every descriptor there is.

A daemon closes whatever it may have inherited. The tracer's descriptors are among that, and memray
answers by aborting the process: it reads resident memory from one of them in a thread of its own,
which is also what keeps its stream moving. For the program they were never there: closing one fails
as closing an unused number does, closing a range leaves them out. Code in C that closes everything
does not ask here.
"""

import errno
import os
from typing import Dict, Tuple

_close = os.close
_closerange = os.closerange
_own: "Dict[int, Tuple[int, int]]" = {}


def own(numbers):
    """Protect these open descriptors from now on, and no others; none: protect nothing."""
    _own.clear()
    _own.update((number, _identity(number)) for number in numbers)
    os.close, os.closerange = (close, closerange) if _own else (_close, _closerange)


def own_numbers():
    """Return the descriptors that are protected."""
    return set(_own)


def close(fd):
    """Close a file descriptor."""
    if fd in _own and _is_own(fd):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    _close(fd)


def closerange(fd_low, fd_high, /):
    """Closes all file descriptors in [fd_low, fd_high), ignoring errors."""
    for number in sorted(_own):
        if fd_low <= number < fd_high and _is_own(number):
            _closerange(fd_low, number)
            fd_low = number + 1
    _closerange(fd_low, fd_high)


def _is_own(number):
    """Whether the number still is what was opened: code in C closes without asking here."""
    try:
        return _identity(number) == _own[number]
    except OSError:
        return False


def _identity(number):
    status = os.fstat(number)
    return status.st_dev, status.st_ino
