"""Notices that a program still imports its modules: what these bring is no work yet."""

import sys

# Where so many questions in a row find no further module, the work has begun. (A program that has
# imported its libraries makes its first objects, and these load others.) In the middle of an import
# it may be a module that takes long, and must be as many as were asked before: then its own code is
# at work, for a program may do all of its work there. By the clock that would also be a library
# that takes long to load, while nobody can ask.
STILL_COUNT = 5
# The import system's own functions, by the file that they are compiled as.
_IMPORT_FILE = "<frozen importlib._bootstrap>"


class Imports:
    """What was imported when it was last asked."""

    def __init__(self):
        self._count = 0
        self._asked_count = 0
        self._grown_at_count = 0

    def under_way(self):
        """Say whether modules have come by now, or the main thread waits for one."""
        self._asked_count += 1
        count = len(sys.modules)
        if count > self._count:
            self._grown_at_count = self._asked_count
        self._count = count
        still_count = self._asked_count - self._grown_at_count
        if still_count < STILL_COUNT:
            return True
        # The frames are looked at only after imports: that makes objects of them.
        return still_count < self._grown_at_count and _main_thread_imports()


def _main_thread_imports():
    threading = sys.modules.get("threading")
    try:
        frame = sys._current_frames().get(threading.main_thread().ident)
    except Exception:
        # Not imported, or half.
        return False
    while frame is not None:
        if frame.f_code.co_filename == _IMPORT_FILE:
            return True
        frame = frame.f_back
    return False
