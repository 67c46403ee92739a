"""A forked copy waits for no answer that its parent has had already."""

from leaklab.probe import channel as probe_channel
from leaklab.probe.session import Session
from leaklab.recorder.channel import Listener


def test_a_copy_goes_on_before_the_recorder_has_looked(tmp_path, monkeypatch):
    monkeypatch.setattr(probe_channel, "REPLY_SECONDS", 0.1)
    listener = Listener(tmp_path / "measure.sock")
    session = Session(str(listener.path))
    try:
        # Nobody answers: who waits gives up, and is not recorded.
        assert not session.open("fork")
        listener.accept().close()

        session._options = {"forks_alike": "1"}
        assert session.open("fork")
        line = listener.accept()
        hello = line.receive()
        assert (hello["kind"], hello["how"]) == ("hello", "fork")

        # The answer that comes afterwards is not taken for that to the next question.
        line.answer("options", "ticks=0")
        line.receive()
        line._number = hello["number"] + 1
        line.answer("go")
        assert session._channel.ask({"kind": "mark"}) == ["go"]
        line.close()
    finally:
        session.release()
        listener.close()
