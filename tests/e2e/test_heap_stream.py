"""The live stream of a real traced process: exact at every mark, whoever dies meanwhile."""

from __future__ import annotations

import itertools
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import memray
import psutil
import pytest

from leaklab.errors import LeaklabError
from leaklab.recorder.heap import helpers
from leaklab.recorder.heap import stream as heap
from leaklab.recorder.heap.stacks import SourcePaths, StackTable
from leaklab.recorder.heap.stream import HeapReader, HeapStream

KEPT_BYTES = 1000

TARGET = """
import os, sys
from leaklab.probe import tracing

def keep_one(number):
    kept[number] = bytes(KEPT_BYTES - 33)

def work(count):
    port = tracing.free_port()
    print(port, flush=True)
    tracing.start(port)
    BEFORE
    for number in range(count):
        junk = [bytearray(500) for _ in range(1000)]
        del junk
        keep_one(number)
        line = b"%d\\n" % number
        tracing.barrier(number)
        # Nothing is allocated from here on, or it might be in the snapshot.
        os.write(1, line)
        if not stdin.readinto(answer):
            break

kept = [b''] * 1000
stdin, answer = open(0, "rb", buffering=0, closefd=False), bytearray(1)
work(int(sys.argv[1]))
if len(sys.argv) > 2 and os.fork() == 0:
    work(int(sys.argv[2]))
    os._exit(0)
if len(sys.argv) > 2:
    os.wait()
print("sum", sum(map(len, kept)), flush=True)
""".replace("KEPT_BYTES", str(KEPT_BYTES))


class Target:
    """A traced process that waits after every mark until it is told to go on."""

    def __init__(self, folder: Path, *arguments: str, before: str = "pass") -> None:
        script = folder / "target.py"
        script.write_text(TARGET.replace("BEFORE", before))
        self.process = subprocess.Popen(
            # Python 3.12 and newer say so of every fork in a process with a thread: memray's.
            [sys.executable, "-W", "ignore:This process", str(script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> tuple[str, str]:
        return self.process.communicate(timeout=30)


@pytest.fixture
def reader() -> Iterator[HeapReader]:
    reader = HeapReader()
    yield reader
    reader.close()


def connect(
    reader: HeapReader, target: Target, folder: Path, capture: Path | None = None
) -> HeapStream:
    port = int(target.line())
    deadline = time.monotonic() + 20
    while not any(
        line.split()[1:4:2] == [f"0100007F:{port:04X}", "0A"]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
    ):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    stream = reader.open(port, StackTable(), SourcePaths(str(folder)), capture)
    assert stream.connect(20.0) is not None
    return stream


def growth_per_mark(target: Target, stream: HeapStream, count: int) -> list[int]:
    live = []
    for number in range(count):
        assert target.line() == str(number)
        stream.take(number, 10.0)
        target.go()
        snapshot = stream.finish()
        assert snapshot.exact
        live.append(snapshot.live_bytes)
    return [later - earlier for earlier, later in itertools.pairwise(live)]


def is_exact(growth: list[int]) -> bool:
    # Python keeps a few blocks of its own at first and now and then: a number's text, a resize.
    # What the target does while it waits may be in a snapshot or not, and is made up for by the
    # next: so no more than that may be missing or too much over all.
    error = sum(growth) - KEPT_BYTES * len(growth)
    return statistics.median(growth) == KEPT_BYTES and abs(error) < KEPT_BYTES


def test_every_mark_is_exact_to_the_byte_and_the_line_is_named(
    tmp_path: Path, reader: HeapReader
) -> None:
    target = Target(tmp_path, "30")
    stream = connect(reader, target, tmp_path)
    assert is_exact(growth_per_mark(target, stream, 30))
    assert target.end()[1] == ""


def test_a_forked_child_is_traced_by_a_stream_of_its_own(
    tmp_path: Path, reader: HeapReader
) -> None:
    target = Target(tmp_path, "5", "20")
    growth_per_mark(target, connect(reader, target, tmp_path), 5)
    assert is_exact(growth_per_mark(target, connect(reader, target, tmp_path), 20))
    assert target.end()[1] == ""


def test_the_stream_kept_as_a_file_is_a_capture_memray_reads(
    tmp_path: Path, reader: HeapReader
) -> None:
    capture = tmp_path / "capture.bin"
    target = Target(tmp_path, "20")
    stream = connect(reader, target, tmp_path, capture)
    assert is_exact(growth_per_mark(target, stream, 20))
    target.end()
    functions = {
        record.stack_trace(max_stacks=1)[0][0]
        for record in memray.FileReader(capture).get_high_watermark_allocation_records()
        if record.stack_trace(max_stacks=1)
    }
    assert "keep_one" in functions


RECORDER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_heap_stream import connect, Target, HeapReader
reader = HeapReader()
target = Target(Path(sys.argv[1]), "200")
connect(reader, target, Path(sys.argv[1]))
print(target.process.pid, reader._process.pid, flush=True)
sys.stdin.readline()
"""


def test_a_killed_recorder_leaves_no_word_in_the_target_and_no_reader_behind(
    tmp_path: Path,
) -> None:
    # The target's pipes end with the recorder that held them, so this one writes to nobody; what
    # counts is that it comes to its end by itself, and the reader after it.
    recorder = subprocess.Popen(
        [sys.executable, "-c", RECORDER, str(tmp_path), str(Path(__file__).parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert recorder.stdout is not None
    pids = [int(word) for word in recorder.stdout.readline().split()]
    processes = [psutil.Process(pid) for pid in pids]
    os.kill(recorder.pid, signal.SIGKILL)
    recorder.communicate()
    __, alive = psutil.wait_procs(processes, timeout=20)
    assert not alive


# Speaks the reader's part: to each request one word of Python that says how it answers.
STAND_IN = """
import json, os, socket, sys, time
control = socket.socket(fileno=int(sys.argv[1]))
reply = b'{"size": 80}\\n'
def work(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
for line in control.makefile("rb"):
    exec(json.loads(line)["how"])
"""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks so often, and waits so briefly, that a helper is given up after a second."""
    monkeypatch.setattr(helpers, "_STALL_SECONDS", 1.0)
    monkeypatch.setattr(helpers, "_LOOK_SECONDS", 0.25)


@pytest.fixture
def stand_in(
    impatient: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[HeapReader]:
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    monkeypatch.setattr(heap, "_READER", script)
    reader = HeapReader()
    yield reader
    reader.close()


def test_a_reader_is_waited_for_while_it_works_or_does_what_it_was_asked(
    stand_in: HeapReader,
) -> None:
    assert stand_in.request({"how": "work(1.5); control.sendall(reply)"}) == {"size": 80}
    message = {"how": "time.sleep(1.5); control.sendall(reply)"}
    assert stand_in.request(message, asked_seconds=1.5, idle_seconds=1.5) == {"size": 80}
    stand_in.request({"how": "control.sendall(reply + bytes(40)); work(1.5); control.send(reply)"})
    assert stand_in.payload(40).tolist() == [0] * 5
    assert stand_in.reply() == {"size": 80}


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("time.sleep(60)", "does not answer: it hangs"),
        ("control.sendall(reply[:5]); time.sleep(60)", "does not answer: it hangs"),
        ("work(60)", "does not answer: it is still busy after 2 s"),
        ("control.sendall(reply[:5]); os._exit(3)", "is gone: exit status 3"),
        ("control.sendall(reply + bytes(40)); time.sleep(60)", "does not answer: it hangs"),
        ("control.sendall(reply + bytes(40)); os._exit(3)", "is gone: exit status 3"),
    ],
)
def test_a_reader_that_is_lost_is_ended_and_not_waited_for_again(
    stand_in: HeapReader, monkeypatch: pytest.MonkeyPatch, how: str, why: str
) -> None:
    monkeypatch.setattr(helpers, "_WALK_SECONDS", 1.5)
    with pytest.raises(LeaklabError, match=f"the heap reader {why}"):
        stand_in.payload(stand_in.request({"how": how}, asked_seconds=0.5)["size"])
    assert not stand_in.is_alive
    # Killed, where it has not ended by itself.
    assert stand_in._process.wait(timeout=10) in (3, -signal.SIGKILL)
    begun = time.monotonic()
    for ask in (lambda: stand_in.request({"how": ""}), stand_in.check):
        with pytest.raises(LeaklabError, match=why):
            ask()
    assert time.monotonic() - begun < helpers._STALL_SECONDS


def test_a_reader_that_looks_for_a_marker_is_at_work(
    tmp_path: Path, impatient: None, reader: HeapReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heap, "_MISSING_SECONDS", 2.5)
    target = Target(tmp_path, "2")
    stream = connect(reader, target, tmp_path)
    assert target.line() == "0"
    stream.take(1, 2.5)  # a mark that does not come
    assert stream.finish().exact is False
    assert reader.is_alive
    assert target.end()[1] == ""


def test_a_target_that_profiles_itself_is_read_on_without_its_markers(
    tmp_path: Path, reader: HeapReader
) -> None:
    target = Target(tmp_path, "20", before="sys.setprofile(lambda *call: None)")
    stream = connect(reader, target, tmp_path)
    held = []
    for number in range(20):
        assert target.line() == str(number)
        stream.take(number, 10.0)
        held.append(stream.finish())
        target.go()
    assert all(found.exact for found in held)
    # A single one may be late: the reader had no turn.
    assert [found.unmarked for found in held[:3]] == [False, True, True]
    assert all(found.unmarked for found in held[1:])
    sizes = [found.live_bytes for found in held[5:]]
    # What the probe allocates is among it, but no markers that grow from look to look.
    assert sizes[-1] - sizes[0] == pytest.approx(KEPT_BYTES * (len(sizes) - 1), rel=0.5)
    assert target.end()[1] == ""


def test_a_hanging_reader_opens_no_stream_and_nobody_waits_for_it_again(
    reader: HeapReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helpers, "_STALL_SECONDS", 1.0)
    reader._process.send_signal(signal.SIGSTOP)
    stream = reader.open(1, StackTable(), SourcePaths("."))
    with pytest.raises(LeaklabError, match="hangs"):
        stream.begin()
    begun = time.monotonic()
    assert stream.connect(20.0) is None
    stream.close()
    assert time.monotonic() - begun < 1.0
