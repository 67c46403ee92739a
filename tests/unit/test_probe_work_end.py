"""The end of the work is noticed without a wait for a lock, and nobody counts the probe's part."""

import subprocess
import threading
from types import SimpleNamespace

import pytest

from leaklab.probe.session import Session
from tests.interpreters import REPOSITORY, every_version, interpreter_or_skip

# As a target sees it: before anything of it runs the probe has come by, or not.
PROGRAM = """
import atexit, sys
began = atexit._ncallbacks()
if {recorded}:
    sys.path.insert(0, {repository!r})
    from leaklab.probe import marks, work_end
    class Session:
        said = False
        def work_ended(self):
            if not self.said:
                print("ended")
            self.said = True
    marks._session = Session()
    work_end.watch(lambda: print("gone"))
{first}
def leave():
    print("leaving")
counts = [atexit._ncallbacks() - began]
for number in range(150):
    atexit.register(leave)
    counts.append(atexit._ncallbacks() - began)
atexit.unregister(leave)
atexit.register(leave)
counts.append(atexit._ncallbacks() - began)
print(counts)
"""


def test_a_signal_in_the_middle_of_a_mark_waits_for_no_lock():
    said = []
    session = Session.__new__(Session)
    session._marks = SimpleNamespace(_session=session)
    session._work_ended = False
    session._channel = SimpleNamespace(send=said.append)
    session._ticking, session._told_count = True, 0
    session._lock = threading.Lock()
    session._lock.acquire()  # as in the mark that the handler has interrupted
    handler = threading.Thread(target=session.work_ended, args=("SIGTERM",), daemon=True)
    handler.start()
    handler.join(10)
    assert not handler.is_alive()
    assert [message["kind"] for message in said] == ["work-end"]


@every_version
@pytest.mark.parametrize("first", ["", "import threading", "atexit._clear(); began = 0"])
def test_a_target_counts_its_own_functions_at_exit_only(version, first):
    python = interpreter_or_skip(version)

    def said(recorded):
        program = PROGRAM.format(recorded=recorded, repository=str(REPOSITORY), first=first)
        done = subprocess.run([python, "-c", program], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    counts, *words = said(recorded=True)
    assert [counts, "leaving"] == said(recorded=False)
    assert words == ["ended", "leaving", *([] if "clear" in first else ["gone"])]
