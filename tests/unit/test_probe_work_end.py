"""A signal that ends the work may come in the middle of a mark: nobody waits for a lock then."""

import threading
from types import SimpleNamespace

from leaklab.probe.session import Session


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
