"""Tells the recorder while modules are imported: at its start a program hardly does anything else.

How much memory imports take and how long depends on the libraries, under the tracer many times as
long; what is to be judged is the work that comes after them.
"""

import sys

from . import marks
from .unpatched import monotonic

# Told no more often than this, nor than in each so many parts of the life of the process.
LEAST_SECONDS = 0.05
PARTS = 64


class _Heard:
    """Is asked for each module that was not imported yet, and finds none."""

    due_seconds = 0.0

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        session = marks._session
        if session is not None:
            now = monotonic()
            age_seconds = now - session.begun_seconds
            # What ends at once is spared the message, and the recorder its thousands.
            if now >= cls.due_seconds and age_seconds >= LEAST_SECONDS:
                cls.due_seconds = now + max(LEAST_SECONDS, age_seconds / PARTS)
                session.importing(now)
        return


def watch():
    """Hear of imports from now on."""
    if _Heard not in sys.meta_path:
        sys.meta_path.insert(0, _Heard)
