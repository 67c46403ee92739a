"""The relay with sockets of the test's own: nothing is lost, nobody waits but for a full spool."""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import recorded

from leaklab.recorder.heap import helpers
from leaklab.recorder.heap import stream as heap
from leaklab.recorder.options import RecordOptions
from leaklab.recorder.recording import record_run
from leaklab.store import open_run

MEBIBYTE = 1 << 20


class Ends:
    """Both ends of one stream through the relay: what a target sends and what its reader gets."""

    def __init__(self, folder: Path) -> None:
        self.relay = helpers.Helper("stream relay", [str(heap._RELAY), str(folder)], 2)
        self.main, self.follower = self.relay.lines
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            found = self.ask("open", port=port, capture_path=None)
            self.target, _ = server.accept()
        self.reader = socket.create_connection(("127.0.0.1", found["port"]))
        self.reader.settimeout(10)

    def ask(self, operation: str, *, later: bool = False, **more: object) -> dict[str, object]:
        line = self.follower if later else self.main
        return line.request({"op": operation, "stream": 1, **more})

    def read(self, size: int) -> bytes:
        received = bytearray()
        while len(received) < size:
            received += self.reader.recv(size - len(received))
        return bytes(received)

    def has_more(self) -> bool:
        return bool(select.select([self.reader], [], [], 0.1)[0])


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[Ends]:
    ends = Ends(tmp_path)
    yield ends
    ends.target.close()
    ends.reader.close()
    ends.relay.close()


def spool_bytes(ends: Ends) -> int:
    """Return what the relay's files without a name take of the disk."""
    files = [path.stat() for path in Path(f"/proc/{ends.relay.process.pid}/fd").iterdir()]
    return sum(file.st_blocks * 512 for file in files if not file.st_nlink)


def test_all_of_a_stream_comes_through_and_what_was_read_is_given_back(ends: Ends) -> None:
    block = os.urandom(MEBIBYTE)
    for _ in range(40):  # nobody reads, and the target does not wait
        ends.target.sendall(block)
    # What the target has sent may still be between the two: the answer comes once all has come.
    ends.ask("place", bytes=40 * MEBIBYTE)
    ends.ask("go on", later=True, bytes=40 * MEBIBYTE)
    ends.target.close()
    assert spool_bytes(ends) >= 32 * MEBIBYTE
    for _ in range(36):
        assert ends.read(MEBIBYTE) == block
    assert spool_bytes(ends) <= 24 * MEBIBYTE
    for _ in range(4):
        assert ends.read(MEBIBYTE) == block
    assert ends.reader.recv(1) == b""


def test_the_reader_is_handed_no_more_than_a_place_until_it_may_go_on(ends: Ends) -> None:
    ends.target.sendall(b"a" * 1000)
    assert ends.ask("place", bytes=1000)["bytes"] == 1000
    ends.target.sendall(b"b" * 500)
    assert ends.ask("place", bytes=1500)["bytes"] == 1500
    ends.target.sendall(b"c" * 100_000)
    assert ends.ask("reach", later=True, bytes=1000)["bytes"] == 1000
    assert ends.read(1000) == b"a" * 1000
    assert not ends.has_more()
    ends.ask("go on", later=True, bytes=1000)
    assert ends.ask("reach", later=True, bytes=1500)["bytes"] == 1500
    assert ends.read(500) == b"b" * 500
    assert not ends.has_more()
    ends.ask("go on", later=True, bytes=1500)
    ends.target.close()
    assert ends.read(100_000) == b"c" * 100_000
    assert ends.ask("place", bytes=200_000)["why"].startswith("its stream has ended")


def test_a_full_spool_holds_the_target_and_says_for_how_long(ends: Ends) -> None:
    ends.target.sendall(b"a")
    ends.ask("place", bytes=1)
    assert ends.ask("limit", bytes=MEBIBYTE)["held_seconds"] == 0.0

    def send() -> None:
        ends.target.sendall(b"b" * (32 * MEBIBYTE))
        # The last few bytes are read with the end, or when a place is asked for.
        ends.target.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    sender.join(1.0)
    assert sender.is_alive()
    waiting = ends.ask("limit", bytes=MEBIBYTE)["waiting_bytes"]
    assert MEBIBYTE <= waiting <= 2 * MEBIBYTE
    ends.ask("go on", later=True, bytes=1)
    ends.read(32 * MEBIBYTE + 1)
    sender.join(10)
    assert 0.5 < ends.ask("limit", bytes=MEBIBYTE)["held_seconds"] < 10


@pytest.mark.parametrize("lost", ["recorder", "reader"])
def test_a_stream_is_drained_whoever_is_gone(ends: Ends, lost: str) -> None:
    ends.target.sendall(b"a" * 1000)
    ends.ask("place", bytes=1000)
    if lost == "recorder":
        ends.main.close()
        ends.follower.close()
    else:
        ends.reader.close()
        ends.ask("go on", later=True, bytes=1000)
    ends.target.settimeout(10)
    begun = time.monotonic()
    ends.target.sendall(b"b" * (64 * MEBIBYTE))
    assert time.monotonic() - begun < 10
    ends.target.close()
    if lost == "recorder":
        assert ends.relay.process.wait(timeout=10) == 0


def test_a_relay_that_is_killed_ends_the_stream_at_once(ends: Ends) -> None:
    ends.relay.process.send_signal(signal.SIGKILL)
    ends.target.settimeout(10)
    with pytest.raises(ConnectionError):
        while True:
            ends.target.sendall(b"b" * MEBIBYTE)


def test_nobody_waits_for_a_slow_reader_until_the_target_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_seconds = 0.4
    honest = heap.HeapStream.finish

    def finish(self: heap.HeapStream) -> heap.HeapSnapshot:
        time.sleep(slow_seconds)
        return honest(self)

    monkeypatch.setattr(heap.HeapStream, "finish", finish)
    source = """
        from leaklab import mark
        kept = []
        for _ in range(10):
            kept.append(bytearray(9_000))
            mark()
    """
    told: list[dict[str, Any]] = []
    recorded.script(tmp_path, source)
    options = RecordOptions(
        command=["target.py"],
        cwd=str(tmp_path),
        store=str(tmp_path / "store"),
        passes=("explain",),
        graphs="never",
    )
    run = open_run(record_run(options, told.append))
    marks = run.samples[run.samples["mark"].notna()].groupby("mark")["time_seconds"].max()
    assert len(marks) == 10
    assert marks.max() - marks.min() < 5 * slow_seconds
    snapshots = run.snapshots.dropna(subset=["mark"])
    assert snapshots["mark"].tolist() == list(range(1, 11))
    assert snapshots["exact"].all()
    # A module of the probe's may be loaded in between, from byte code, and let go of a few bytes.
    assert (snapshots["live_bytes"].diff().dropna() >= 8_900).all()
    assert any("the target has ended; reading what is left" in event["text"] for event in told)
