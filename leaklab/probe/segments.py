"""Tells the recorder the name of each segment of shared memory when it is made.

What was closed and never unlinked keeps its memory until the machine restarts, and nothing of the
process shows it: no descriptor, no resident memory. The recorder looks whether the names are still
there, because whoever unlinks them may be another process.
"""

import os
import sys

from . import marks
from .origins import SEGMENTS_FOLDER

MODULE = "multiprocessing.shared_memory"
# So many of a process are told at once, for it may end the next moment. Of one that goes on to make
# more, each is told when it makes the next, if it is still there: most are not.
TOLD_AT_ONCE = 64


class _Latest:
    """The segment made last that was not told, and how many there were in this process."""

    pid = -1
    count = 0
    name = None


def watch():
    """Hear of segments from now on, or once the module that makes them is imported."""
    module = sys.modules.get(MODULE)
    if module is None:
        if _Awaited not in sys.meta_path:
            sys.meta_path.insert(0, _Awaited)
    elif hasattr(module, "SharedMemory"):
        _follow(module)


class _Awaited:
    """Costs an import one comparison until the module comes."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name != MODULE or cls not in sys.meta_path:
            return None
        sys.meta_path.remove(cls)
        from .hooks import after_import

        after_import({MODULE: [_follow]})
        return sys.meta_path[0].find_spec(name, path, target)


def _follow(module):
    kind = module.SharedMemory
    if not isinstance(vars(kind).get("_buf"), _Buffer):
        kind._buf = _Buffer()


class _Buffer:
    """Stands for the ``_buf`` of a segment, which its constructor sets last.

    A constructor in its place would be one more frame in what it raises.
    """

    def __get__(self, segment, kind=None):
        return None if segment is None else vars(segment).get("_buf")

    def __set__(self, segment, value):
        vars(segment)["_buf"] = value
        if value is not None:
            try:
                _made(segment)
            except Exception:  # what the target does goes on
                pass


def _made(segment):
    """Tell of a segment that a constructor has made, not of one that it has opened."""
    session = marks._session
    name = segment._name
    # Without a name it could not be made.
    if session is None or not name or not segment._flags & os.O_EXCL:
        return
    if _Latest.pid != os.getpid():
        _Latest.pid, _Latest.count, _Latest.name = os.getpid(), 0, None
    _Latest.count += 1
    if _Latest.count > TOLD_AT_ONCE:
        name, _Latest.name = _Latest.name, name
        if name is None or not os.path.exists(SEGMENTS_FOLDER + name.lstrip("/")):
            return
    session.segment(name)
