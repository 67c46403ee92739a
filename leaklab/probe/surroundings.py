"""What the session has to know of the interpreter and the process it finds itself in."""

import os
import sys


class OpenImports:
    """Lets another thread import modules whose import is still going on in this one.

    Here that is `site`, which runs us: the other thread would wait for it, and it for us.
    """

    def __enter__(self):
        self._specs = []
        for module in list(sys.modules.values()):
            spec = getattr(module, "__spec__", None)
            if getattr(spec, "_initializing", False) is True:
                spec._initializing = False
                self._specs.append(spec)

    def __exit__(self, *problem):
        for spec in self._specs:
            spec._initializing = True


def real_path(file):
    """Return the file behind links; as it is where that cannot be told, as of a relative one
    (``<string>`` is) without a working directory."""
    try:
        return os.path.realpath(file)
    except (OSError, ValueError):
        return file


def listens(port):
    """Say whether this process listens on ``port``; True where that is not told."""
    try:
        with open("/proc/self/net/tcp", "rb") as table:
            wanted = b"0100007F:%04X" % port
            lines = [line.split() for line in table]
            inodes = [line[9] for line in lines if line[1] == wanted and line[3] == b"0A"]
        if not inodes:
            return False
        # Another process may have taken the port, and its stream would never begin.
        names = {b"socket:[%s]" % inode for inode in inodes}
        return any(_link_of(name) in names for name in os.listdir(b"/proc/self/fd"))
    except OSError:
        return True


def _link_of(name):
    try:
        return os.readlink(b"/proc/self/fd/" + name)
    except OSError:
        return None


def has_memray():
    """Say whether the heap of this process could be traced, without importing anything."""
    if sys.implementation.name != "cpython":
        return False
    finder = sys.modules["_frozen_importlib_external"].PathFinder
    return finder.find_spec("memray") is not None
