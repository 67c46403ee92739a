"""Starts the session of a Python process: called once, by the bootstrap, before the target."""

import _signal  # type: ignore[import-not-found]  # `signal` would bring enum along
import os
import sys

from . import marks

CHANNEL_VARIABLE = "LEAKLAB_CHANNEL"
# Set where the target itself says when it begins, by calling `connect`: what a test runner does
# until its first unit of work is nothing to trace.
LATER_VARIABLE = "LEAKLAB_BEGIN_LATER"
# The kernel gives no descriptor such a number.
NO_DESCRIPTOR = 2**31 - 1


def begin():
    """Let `leaklab` be imported wherever it is missing, and connect unless that is for later."""
    sys.meta_path.append(_StandIn)
    if in_main_interpreter() and not os.environ.get(LATER_VARIABLE):
        connect()


def in_main_interpreter():
    """Say whether this is the first interpreter of the process; called from its first thread.

    A subinterpreter runs `site` as well, and so comes by here. The process has its session already:
    another would take the first for over, and tracing goes on in one interpreter only.
    """
    try:
        _signal.set_wakeup_fd(NO_DESCRIPTOR)
    except ValueError:  # asked before anything else: "only works in main thread of the main …"
        return False
    except OSError:
        pass
    return True


def connect(by_marks=False):
    """Connect to the recorder named in the environment, if there is one, and make marks count.

    ``by_marks``: the work of this process begins with what ends in its first mark; what it does
    before is traced, and not looked at. Of a process that it forks nobody has said so.
    """
    path = os.environ.get(CHANNEL_VARIABLE)
    if not path or marks._session is not None:
        return
    from .session import Session

    session = Session(path)
    if session.open("start", by_marks):
        marks.attach(session)
        os.register_at_fork(after_in_child=session.after_fork)
        from . import imports, segments, work_end

        imports.watch()
        segments.watch()
        work_end.watch(session.end)


def finish():
    """Give the last figures and let go of the recorder: what the target does further is its own."""
    if marks._session is not None:
        marks._session.end()


class _StandIn:
    """Finds `leaklab` last of all: where it is not installed, `mark` and `gauge` still import."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "leaklab":
            return None
        machinery = sys.modules["_frozen_importlib"]
        return machinery.ModuleSpec(name, _StandIn, origin="leaklab probe", is_package=True)

    @staticmethod
    def create_module(spec):
        return None

    @staticmethod
    def exec_module(module):
        module.mark = marks.mark
        module.gauge = marks.gauge
