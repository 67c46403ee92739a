"""A target that has come to the end of its memory is told so once, by its own traceback."""

import _socket
import threading
from types import SimpleNamespace

from leaklab.probe import channel
from leaklab.probe.session import Session


def test_an_answer_is_read_into_memory_that_is_there_already():
    """Each of 64 KiB would be the first that a full address space refuses."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    line = channel.Channel("nowhere")
    sizes = []

    class Read:
        def recv_into(self, buffer):
            sizes.append(len(buffer))
            return ours.recv_into(buffer)

        def __getattr__(self, name):
            return getattr(ours, name)

    line._socket, line._identity = Read(), channel._identity(ours.fileno())
    for number in (1, 2):
        theirs.send(f"{number - 1}\tlate".encode())  # to what was asked before
        theirs.send(f"{number}\tgo\t{'x' * (3 - number)}".encode())
        assert line.ask({"kind": "mark"}) == ["go", "x" * (3 - number)]
    assert sizes == [channel.REPLY_SIZE] * 4
    theirs.close()
    ours.close()


def test_the_end_for_want_of_memory_has_no_traceback_of_ours():
    def tell(kind):
        raise MemoryError

    session = Session.__new__(Session)
    detached = []
    session._marks = SimpleNamespace(_session=session, attach=detached.append)
    session._lock, session._ticking, session._origins = threading.Lock(), False, None
    session._tell, session._untrace = tell, lambda: None
    session._channel = SimpleNamespace(drop=lambda: detached.append("dropped"))
    session.end()
    assert detached == [None, "dropped"]
