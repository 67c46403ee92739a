"""The probe in a process that was running before: a thread of ours talks to the recorder."""

import sys

from . import marks as own_marks
from . import unpatched
from .session import Session

TICK_SECONDS = 0.25


def stay(path):
    """Talk to the recorder until it lets go or is gone, then leave nothing behind."""
    marks = sys.modules.get("leaklab.probe.marks", own_marks)
    session = Session(path, marks)
    if not session.open("attach"):
        return
    marks.attach(session)
    try:
        while session.tick():
            unpatched.sleep(TICK_SECONDS)
    finally:
        marks.attach(None)
        session.release()
