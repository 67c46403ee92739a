"""What goes wrong in the middle: a readable run, a target that goes on, and nothing that hangs."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import recorded

from leaklab.cli import main
from leaklab.errors import LeaklabError
from leaklab.recorder import passes
from leaklab.recorder.channel import Connection, Listener
from leaklab.recorder.heap import helpers
from leaklab.recorder.heap.stream import HeapReader, HeapStream
from leaklab.recorder.probes import tracing
from leaklab.recorder.probes.server import UNANSWERED, ProbeServer
from leaklab.recorder.processes import table as processes
from leaklab.recorder.target import BOOTSTRAP, CHANNEL_VARIABLE
from leaklab.store import RunData, open_run
from leaklab.verdict.judge import judge

# So many that the target is still at work long after its recorder was killed.
MARK_COUNT = 300
WORK = f"""
    import sys, time
    from pathlib import Path
    from leaklab import mark
    kept = []
    for number in range({MARK_COUNT}):
        kept.append(bytes(9_000))
        time.sleep(0.01)
        mark()
        if number == 40:
            Path("half").touch()
        print("at", number, flush=True)
    print("finished", len(kept))
    sys.exit(5)
"""
RECORDER = """
    import sys
    from leaklab.recorder.options import RecordOptions
    from leaklab.recorder.recording import record_run
    print(record_run(RecordOptions(
        command=["target.py"], store="store", passes=sys.argv[1].split(","), graphs="never",
        stdin="inherit")))
"""


class Recorder:
    """A recorder in a process of its own."""

    def __init__(
        self, folder: Path, passes: str, work: str = WORK, stdin: int = subprocess.DEVNULL
    ) -> None:
        recorded.script(folder, work)
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(RECORDER), passes],
            cwd=folder,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_until_half(self) -> psutil.Process:
        """Return the target, in the middle of its work."""
        deadline = time.monotonic() + 60
        while not (self.folder / "half").exists():
            assert time.monotonic() < deadline
            assert self.process.poll() is None
            time.sleep(0.01)
        (target,) = [
            child
            for child in psutil.Process(self.process.pid).children()
            if "target.py" in child.cmdline()
        ]
        return target

    def wait_until_handed_over(self) -> None:
        """Wait for marks on disk: the recorder hands them over every second."""
        deadline = time.monotonic() + 60
        while not self.run().samples["mark"].max() >= 20:  # not a number at first
            assert time.monotonic() < deadline
            assert self.process.poll() is None
            time.sleep(0.05)

    def run(self) -> RunData:
        """Open the only run there is."""
        (path,) = self.folder.glob("store/*/*/*")
        return open_run(path)


@pytest.mark.parametrize("pass_name", ["measure", "explain"])
def test_a_killed_recorder_leaves_the_target_alone(
    tmp_path: Path, temporary: Path, pass_name: str
) -> None:
    recorder = Recorder(tmp_path, pass_name)
    target = recorder.wait_until_half()
    recorder.wait_until_handed_over()
    recorder.process.kill()
    recorder.process.communicate()
    gone, _ = psutil.wait_procs([target], timeout=30)
    assert gone
    run = recorder.run()
    expected = [*(f"at {number}" for number in range(MARK_COUNT)), f"finished {MARK_COUNT}"]
    for name, lines in (("stdout", expected), ("stderr", [])):
        output = Path(run.path) / f"{pass_name}.{name}.txt"
        assert output.read_text().splitlines() == lines
    assert run.meta["state"] == "incomplete"
    assert run.samples["mark"].max() >= 20
    (process,) = run.meta["processes"]
    assert process["role"] == "main"
    assert process["mark_count"] >= run.samples["mark"].max()
    # What became known after its start was written, too.
    (written,) = json.loads((Path(run.path) / "run.json").read_text())["processes"]
    assert written["mark_count"] > 0
    assert written["traced"] == (pass_name == "explain")
    # The next recorder sweeps away what this one could not.
    assert list(temporary.iterdir())
    recorded.record(tmp_path, "pass", name="next")
    assert list(temporary.iterdir()) == []


def test_a_recorder_that_is_killed_while_the_target_waits_for_it(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, "measure")
    target = recorder.wait_until_half()
    recorder.process.send_signal(signal.SIGSTOP)
    deadline, before = time.monotonic() + 30, None
    # It sleeps 10 ms between marks: when nothing has moved for ten times as long, it waits.
    while (now := target.num_ctx_switches()) != before:
        assert time.monotonic() < deadline
        before = now
        time.sleep(0.1)
    recorder.process.kill()
    recorder.process.communicate()
    gone, _ = psutil.wait_procs([target], timeout=30)
    assert gone
    output = Path(recorder.run().path) / "measure.stdout.txt"
    assert output.read_text().splitlines()[-1] == f"finished {MARK_COUNT}"


def next_asked(connection: Connection) -> str | None:
    """The kind of the next message that wants an answer; None where the line has ended."""
    while (message := connection.receive()) is not None:
        if message and message["kind"] not in UNANSWERED:
            return str(message["kind"])
        assert select.select([connection.socket], [], [], 30)[0]
    return None


@pytest.mark.parametrize("has_read", [True, False])
def test_a_recorder_that_goes_instead_of_answering(tmp_path: Path, has_read: bool) -> None:
    # The line ends in order, or is reset because a message was left unread.
    script = recorded.script(
        tmp_path,
        """
        import sys
        from leaklab import mark
        for number in range(10):
            mark()
        sys.exit(number)
        """,
    )
    listener = Listener(tmp_path / "channel")
    environment = {
        **os.environ,
        "PYTHONPATH": str(BOOTSTRAP),
        CHANNEL_VARIABLE: str(listener.path),
    }
    with subprocess.Popen(
        [sys.executable, script], env=environment, stderr=subprocess.PIPE, text=True
    ) as target:
        try:
            assert select.select([listener.socket], [], [], 30)[0]
            connection = listener.accept()
            assert connection is not None
            for kind, answer in (("hello", "options"), ("mark", "go"), ("mark", None)):
                assert select.select([connection.socket], [], [], 30)[0]
                if answer or has_read:
                    assert next_asked(connection) == kind
                if answer:
                    connection.answer(answer)
            connection.close()
            listener.close()
            _, words = target.communicate(timeout=30)
        finally:
            target.kill()
    assert (target.returncode, words) == (9, "")


def test_a_target_whose_recorder_was_killed_still_gets_its_input(tmp_path: Path) -> None:
    work = """
        import sys
        from pathlib import Path
        from leaklab import mark
        for number, line in enumerate(sys.stdin):
            mark()
            if number == 10:
                Path("half").touch()
        print("read", number + 1)
    """
    recorder = Recorder(tmp_path, "measure,explain", work, stdin=subprocess.PIPE)
    assert recorder.process.stdin is not None
    recorder.process.stdin.write("line\n" * 11)
    recorder.process.stdin.flush()
    target = recorder.wait_until_half()
    recorder.process.kill()
    recorder.process.stdin.write("line\n" * 20_000)
    recorder.process.communicate(timeout=30)
    gone, _ = psutil.wait_procs([target], timeout=30)
    assert gone
    output = Path(recorder.run().path) / "measure.stdout.txt"
    assert output.read_text() == "read 20011\n"


@pytest.mark.parametrize("pass_name", ["measure", "explain"])
def test_a_killed_target_is_recorded_up_to_its_last_mark(tmp_path: Path, pass_name: str) -> None:
    recorder = Recorder(tmp_path, pass_name)
    recorder.wait_until_half().kill()
    recorder.process.communicate(timeout=30)
    assert recorder.process.returncode == 0
    run = recorder.run()
    assert run.meta["state"] == "complete"
    assert run.meta["passes"][0]["signal"] == "SIGKILL"
    assert run.samples["mark"].max() >= run.meta["processes"][0]["mark_count"] - 1 >= 39
    if pass_name == "explain":
        assert run.snapshots["mark"].max() >= 30


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_closed(tmp_path: Path, number: int) -> None:
    recorder = Recorder(tmp_path, "explain")
    recorder.wait_until_half()
    recorder.process.send_signal(number)
    recorder.process.communicate(timeout=30)
    assert recorder.process.returncode == 0
    run = recorder.run()
    assert run.meta["state"] == "interrupted"
    assert run.meta["passes"][0]["stopped_by"] == "interrupt"
    assert run.samples["mark"].max() >= 39


def test_a_target_that_does_not_heed_is_ended_when_asked_twice(tmp_path: Path) -> None:
    deaf = "import signal\nfrom pathlib import Path\n"
    deaf += "signal.signal(signal.SIGINT, lambda *_: Path('asked').touch())\n"
    recorder = Recorder(tmp_path, "measure", deaf + textwrap.dedent(WORK))
    recorder.wait_until_half()
    recorder.process.send_signal(signal.SIGINT)
    while not (tmp_path / "asked").exists():
        assert recorder.process.poll() is None
        time.sleep(0.01)
    recorder.process.send_signal(signal.SIGINT)
    recorder.process.communicate(timeout=30)
    (pass_row,) = recorder.run().meta["passes"]
    assert pass_row["stopped_by"] == "interrupt"
    assert pass_row["signal"] == "SIGKILL"


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group with a limit of 400 MB, where this user may make one."""
    groups = Path("/sys/fs/cgroup")
    first = (groups / "memory") if (groups / "memory" / "tasks").exists() else groups
    group = first / f"leaklab-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    limit = group / ("memory.max" if first == groups else "memory.limit_in_bytes")
    try:
        try:
            limit.write_text(str(400_000_000))
        except OSError as error:
            pytest.skip(f"no memory limit can be set here: {error}")
        yield group
    finally:
        group.rmdir()


EATER = """
    from leaklab import mark
    kept = []
    for number in range(100):
        kept.append(b"x" * 10_000_000)
        mark()
"""


# The copy that is walked has the same command line, and nobody else has: it must be done first.
COPIES = """
import glob, time

def command(folder):
    try:
        with open(folder + "/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""

OWN = command("/proc/self")

def wait_for_copies():
    while sum(command(folder) == OWN for folder in glob.glob("/proc/[0-9]*")) > 1:
        time.sleep(0.01)
"""


def test_the_kernel_runs_out_of_memory(
    tmp_path: Path, small_group: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded.script(tmp_path, COPIES + textwrap.dedent(EATER) + "    wait_for_copies()\n")
    words = ["record", "--passes", "graph", "--graph-at", "60%", "--store", "store"]
    words += ["target.py", f"of-{os.getpid()}"]
    program = f"input()\nfrom leaklab.cli import main\nmain({words})"
    recorder = subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, stdin=subprocess.PIPE, text=True
    )
    (small_group / "cgroup.procs").write_text(str(recorder.pid))
    recorder.communicate("\n", timeout=60)
    assert recorder.returncode == 0
    (path,) = tmp_path.glob("store/*/*/*")
    run = open_run(path)
    ended = run.meta["passes"][0]
    assert main(["post-mortem", str(path)]) == 0
    told = capsys.readouterr().out
    assert "graph pass: the kernel has killed the target for want of memory" in told
    assert "__main__.kept" in told
    near = run.graph_dumps[run.graph_dumps["state"] == "complete"]["mark"].max()
    assert 10_000_000 * near > 0.5 * 400_000_000
    assert not list(path.glob("*.dump"))
    assert run.meta["state"] == "complete"
    assert (ended["signal"], ended["out_of_memory"]) == ("SIGKILL", True)
    assert run.meta["limits"]["cgroup_memory_bytes"] == pytest.approx(400_000_000, rel=0.001)
    rss = run.samples[run.samples["name"] == "rss_bytes"]["value"]
    assert 100_000_000 < rss.max() < 400_000_000


def test_a_target_that_gets_no_more_memory(tmp_path: Path) -> None:
    recorded.script(tmp_path, EATER)
    recorded.script(
        tmp_path, f"#!/bin/sh\nulimit -v 300000\nexec {sys.executable} target.py\n", "little.sh"
    ).chmod(0o755)
    run = recorded.record_program(tmp_path, ["./little.sh"])
    ended = run.meta["passes"][0]
    assert (ended["exit_status"], ended["signal"]) == (1, None)
    assert "MemoryError" in ended["stderr_tail"]
    assert 5 < run.samples["mark"].max() == run.meta["processes"][0]["mark_count"] < 40


def test_a_target_that_dies_in_the_middle_of_a_snapshot(tmp_path: Path) -> None:
    run = recorded.record(
        tmp_path,
        """
        import os, signal, sys
        from leaklab import mark
        for _ in range(5):
            mark()
        tracing = sys.modules["_leaklab_probe.tracing"]
        tracing.barrier = lambda number: os.kill(os.getpid(), signal.SIGKILL)
        mark()
        """,
        passes=("explain",),
    )
    assert run.meta["passes"][0]["signal"] == "SIGKILL"
    assert run.meta["passes"][0]["duration_seconds"] < 10
    assert run.snapshots["mark"].max() == 5


def test_a_child_that_dies_in_the_middle_of_a_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[int] = []
    honest = HeapStream.close

    def close(self: HeapStream) -> None:
        closed.append(self.number)
        honest(self)

    monkeypatch.setattr(HeapStream, "close", close)
    run = recorded.record(
        tmp_path,
        """
        import os, signal, sys, warnings
        from leaklab import mark
        kept = []
        def work(count):
            for _ in range(count):
                kept.append(bytearray(9_000))
                mark()
        # Python 3.12 and newer say so of every fork in a process with a thread: memray's.
        warnings.filterwarnings("ignore", "This process", DeprecationWarning)
        pid = os.fork()
        if not pid:
            work(5)
            barrier = sys.modules["_leaklab_probe.tracing"].barrier
            def die(number):
                # In the middle of what makes the snapshot exact, with the reader at work on it.
                barrier(number)
                os.kill(os.getpid(), signal.SIGKILL)
            sys.modules["_leaklab_probe.tracing"].barrier = die
            work(5)
        work(15)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
        work(15)
        """,
        passes=("explain",),
    )
    ended = run.meta["passes"][0]
    assert (ended["exit_status"], ended["stderr_tail"]) == (0, "")
    assert ended["duration_seconds"] < 20
    main, child = run.meta["processes"]
    assert (main["mark_count"], main["traced"], main["note"]) == (30, True, None)
    assert child["traced"] and child["ended_seconds"] < main["ended_seconds"]
    assert child["mark_count"] in (5, 6)
    marks = run.snapshots.groupby("process")["mark"].max()
    assert (marks[main["process"]], marks[child["process"]]) == (30, 5)
    # Nothing is kept of the stream of a process that has ended.
    assert sorted(set(closed)) == [1, 2]


@pytest.mark.parametrize(
    "how",
    [
        "os.closerange(3, 4096)",
        """
                for one in range(3, 4096):
                    try:
                        os.close(one)
                    except OSError:
                        pass""",
    ],
    ids=["closerange", "close"],
)
def test_a_target_that_closes_every_descriptor(how: str, tmp_path: Path) -> None:
    run = recorded.record(
        tmp_path,
        """
        import os
        from leaklab import mark
        kept = []
        for number in range(20):
            kept.append(bytearray(9_000))
            if number == 10:
                HOW
                # Another file now has the number the connection had.
                for _ in range(3):
                    os.open("/dev/null", os.O_RDONLY)
            mark()
        assert os.read(3, 1) == os.read(5, 1) == b""
        """.replace("HOW", how),
        passes=("measure", "explain"),
    )
    for row in run.meta["passes"]:
        assert (row["exit_status"], row["stderr_tail"]) == (0, "")
    assert recorded.values(run, "rss_bytes")
    assert run.samples["mark"].max() == 20
    # The stream is none of what the target closes.
    at_marks = run.snapshots.dropna(subset=["mark"])
    assert at_marks["mark"].max() == 20
    assert at_marks["exact"].all()


def test_a_line_that_was_hung_up_is_not_listened_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[None] = []
    step = passes.PassRecorder._step

    def counted(self: passes.PassRecorder) -> None:
        steps.append(None)
        step(self)

    monkeypatch.setattr(passes.PassRecorder, "_step", counted)
    run = recorded.record(
        tmp_path,
        """
        import os, time
        from leaklab import mark
        mark()
        os.closerange(3, 4096)
        time.sleep(1)
        """,
        interval_seconds=0.5,
    )
    assert 10 < len(steps) < 10 + 100 * run.meta["passes"][0]["duration_seconds"]


@pytest.mark.parametrize("name", ["measure", "explain"])
def test_a_target_that_goes_into_the_background(name: str, tmp_path: Path) -> None:
    run = recorded.record(
        tmp_path,
        """
        import os, pathlib, time
        from leaklab import mark
        mark()
        if os.fork():
            os._exit(0)
        os.setsid()
        if os.fork():
            os._exit(0)
        os.closerange(0, 4096)
        seen = False
        for number in range(1500):  # until the run says that it was seen
            time.sleep(0.02)
            mark()
            seen = seen or any(
                '"daemon"' in path.read_text() for path in pathlib.Path("store").rglob("run.json")
            )
            if seen and number > 50:
                break
        """,
        passes=(name,),
    )
    assert any(event["kind"] == "daemon" for event in run.meta["events"])
    daemon = max(run.meta["processes"], key=lambda process: process["process"])
    assert daemon["mark_count"] >= 8
    assert daemon["role"] == "main"
    assert run.meta["processes"][0]["role"] == "launcher"
    assert psutil.pid_exists(daemon["pid"]) is False


def test_a_child_that_a_process_leaves_as_its_last_threads_end(tmp_path: Path) -> None:
    run = recorded.record(
        tmp_path,
        """
        import ctypes, os, pathlib, platform, threading, time
        from leaklab import mark
        mark()
        if os.fork():
            os._exit(0)
        os.setsid()

        def leave_a_child():
            while pathlib.Path(f"/proc/{os.getpid()}/stat").read_text().split()[2] != "Z":
                time.sleep(0.01)
            time.sleep(0.2)  # for the recorder, which has no way to say that it has seen the end
            if os.fork():
                os._exit(0)
            for _ in range(20):
                mark()
                time.sleep(0.02)

        threading.Thread(target=leave_a_child).start()
        # Ends this thread alone: the process is a zombie whose other thread goes on.
        ctypes.CDLL(None).syscall({"x86_64": 60}.get(platform.machine(), 93), 0)
        """,
    )
    assert any(event["kind"] == "daemon" for event in run.meta["events"])
    assert run.meta["processes"][-1]["mark_count"] == 20


def test_a_target_that_becomes_another_program(tmp_path: Path) -> None:
    recorded.script(tmp_path, "from leaklab import mark\nfor _ in range(4): mark()", "second.py")
    run = recorded.record(
        tmp_path,
        """
        import os, sys
        from leaklab import mark
        mark()
        os.execv(sys.executable, [sys.executable, "second.py"])
        """,
        passes=("explain",),
    )
    first, second = run.meta["processes"]
    assert (first["role"], first["mark_count"]) == ("main", 1)
    assert (second["role"], second["mark_count"]) == ("main", 4)
    assert second["pid"] == first["pid"]
    assert second["exit_status"] == 0
    assert any(event["kind"] == "exec" for event in run.meta["events"])


SUBINTERPRETER = """
    import os, sys, time
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    from leaklab import mark
    for number in range(40):
        if number == 2:  # the first object graph is due with the third mark
            further = interpreters.create()
            interpreters.run_string(further, "import leaklab; leaklab.mark()")
        if number == 20:
            # An interpreter whose probe does not know that it is not the first.
            session = sys.modules["_leaklab_probe.session"].Session(os.environ["LEAKLAB_CHANNEL"])
            print("heard:", session.open("start"))
        mark()
        time.sleep(0.01)
"""


@pytest.mark.parametrize("pass_name", ["measure", "explain"])
def test_a_further_interpreter_takes_nothing_from_the_first(tmp_path: Path, pass_name: str) -> None:
    run = recorded.record(tmp_path, SUBINTERPRETER, passes=(pass_name,), graphs="fork")
    (process,) = run.meta["processes"]
    assert process["mark_count"] == 40
    (ended,) = run.meta["passes"]
    assert (ended["exit_status"], ended["stdout_tail"]) == (0, "heard: False\n")
    kinds = [event["kind"] for event in run.meta["events"]]
    assert kinds == ["interpreter"]
    if pass_name == "explain":
        assert ended["traced"]
        assert run.snapshots["mark"].max() > 20
        # The copy would hang, so there is none.
        failed = run.graph_dumps[run.graph_dumps["state"] == "failed"]
        assert "subinterpreters" in failed["reason"].iloc[-1]


@pytest.mark.parametrize("pass_name", ["measure", "explain"])
def test_what_grew_after_the_line_was_lost_is_not_called_bounded(
    tmp_path: Path, pass_name: str
) -> None:
    run = recorded.record(
        tmp_path,
        """
        import os, time
        from leaklab import mark
        kept = []
        for number in range(200):
            if number == 60:
                os.unlink(os.environ["LEAKLAB_CHANNEL"])
                os.closerange(3, 1000)
            if number >= 60:
                kept.append(bytearray(64_000))
            time.sleep(0.01)
            mark()
        """,
        passes=(pass_name,),
    )
    (process,) = run.meta["processes"]
    assert process["mark_count"] == 60
    assert 1 < process["line_lost_seconds"] < process["ended_seconds"]
    verdict = judge(run)
    assert verdict.verdict == "inconclusive"
    assert "ran on without its line to the recorder" in verdict.reason


def test_a_line_that_ends_with_the_process_was_not_lost(tmp_path: Path) -> None:
    run = recorded.record(
        tmp_path,
        """
        import os, time
        from leaklab import mark
        for number in range(30):
            os.closerange(3, 1000) if number == 10 else None  # the next mark brings a new one
            mark()
            time.sleep(0.01)
        if not os.fork():
            mark()
            os._exit(0)
        os.wait()
        """,
    )
    assert [process["line_lost_seconds"] < 0.1 for process in run.meta["processes"]] == [True] * 2


def test_more_processes_than_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "PROCESS_LIMIT", 5)
    run = recorded.record(
        tmp_path,
        """
        import os, time
        children = []
        for _ in range(20):
            pid = os.fork()
            if not pid:
                time.sleep(1.5)  # longer than what is told as one row
                os._exit(0)
            children.append(pid)
        for pid in children:
            assert os.waitpid(pid, 0)[1] == 0
        """,
    )
    assert run.meta["passes"][0]["exit_status"] == 0
    assert len(run.meta["processes"]) == 5
    assert any(event["kind"] == "overflow" for event in run.meta["events"])


@pytest.mark.parametrize("limit", [16, 24])
def test_a_target_with_hardly_any_descriptors(tmp_path: Path, limit: int) -> None:
    recorded.script(
        tmp_path,
        """
        from leaklab import mark
        kept = []
        for _ in range(20):
            kept.append(bytes(9_000))
            mark()
        """,
    )
    recorded.script(
        tmp_path, f"#!/bin/sh\nulimit -n {limit}\nexec {sys.executable} target.py\n", "few.sh"
    ).chmod(0o755)
    run = recorded.record_program(tmp_path, ["./few.sh"], passes=("measure", "explain"))
    assert [p["exit_status"] for p in run.meta["passes"]] == [0, 0]
    assert [p["stderr_tail"] for p in run.meta["passes"]] == ["", ""]
    assert {p["mark_count"] for p in run.meta["processes"]} == {20}
    assert run.meta["passes"][1]["traced"]
    assert run.snapshots["mark"].max() == 20


NUMBERS = """
    import os, sys
    from leaklab import mark
    numbers = [os.open(os.devnull, os.O_RDONLY) for _ in range(3)]
    mark()
    numbers.append(os.open(os.devnull, os.O_RDONLY))
    print(numbers)
    # What programs do that want their children, or a daemon, to inherit nothing.
    os.closerange(3, int(sys.argv[1]))
    for _ in range(9):
        mark()
"""


@pytest.mark.parametrize(
    ("limit", "closed_below", "pass_name"),
    [
        (24, 16, "measure"),
        (64, 50, "measure"),
        (256, 200, "measure"),
        (1024, 512, "measure"),
        (1024, 128, "explain"),
    ],
)
def test_a_target_has_the_descriptors_it_would_have_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, closed_below: int, pass_name: str
) -> None:
    hellos: list[str] = []
    greet = ProbeServer._on_hello

    def noted(self: ProbeServer, connection: Connection, message: dict[str, Any]) -> None:
        hellos.append(message["how"])
        greet(self, connection, message)

    monkeypatch.setattr(ProbeServer, "_on_hello", noted)
    recorded.script(tmp_path, NUMBERS)
    command = f"#!/bin/sh\nulimit -n {limit}\nexec {sys.executable} target.py {closed_below}\n"
    recorded.script(tmp_path, command, "few.sh").chmod(0o755)
    bare = subprocess.run(["./few.sh"], cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=True)
    run = recorded.record_program(tmp_path, ["./few.sh"], passes=(pass_name,))
    ended = run.meta["passes"][0]
    assert (ended["exit_status"], ended["stderr_tail"]) == (0, "")
    assert ended["stdout_tail"] == bare.stdout == "[3, 4, 5, 6]\n"
    assert run.meta["processes"][0]["mark_count"] == 10
    # Both outlive the closing: the line, which is not opened again, and the stream.
    assert hellos == ["start"]
    if pass_name == "explain":
        at_marks = run.snapshots.dropna(subset=["mark"])
        assert at_marks["mark"].max() == 10
        assert at_marks["exact"].all()


def test_a_taken_port_is_tried_again(tmp_path: Path) -> None:
    run = recorded.record(
        tmp_path,
        """
        import os, subprocess, sys
        from leaklab import mark
        code = (
            "import socket, sys; s = socket.create_server(('127.0.0.1', 0));"
            "print(s.getsockname()[1], flush=True); sys.stdin.read()"
        )
        server = subprocess.Popen(
            [sys.executable, "-I", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        taken = int(server.stdout.readline())
        tracing = sys.modules["_leaklab_probe.tracing"]
        free_port, tries = tracing.free_port, []
        def first_a_taken_one():
            tries.append(1)
            return taken if len(tries) == 1 else free_port()
        tracing.free_port = first_a_taken_one
        if not os.fork():
            mark()
            print("tries", len(tries), flush=True)
            os._exit(0)
        os.wait()
        server.communicate()
        """,
        passes=("explain",),
    )
    assert run.meta["passes"][0]["stdout_tail"] == "tries 2\n"
    (child,) = [p for p in run.meta["processes"] if p["role"] == "fork of main"]
    assert (child["role"], child["traced"], child["mark_count"]) == ("fork of main", True, 1)


@pytest.fixture
def thief(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Connects first to as many streams of a target as the list's only number says."""
    streams_left = [0]
    taken: list[socket.socket] = []
    honest = HeapReader.open

    def late(self: HeapReader, port: int, *rest: Any, **options: Any) -> Any:
        if streams_left[0]:
            streams_left[0] -= 1
            taken.append(socket.create_connection(("127.0.0.1", port)))
        return honest(self, port, *rest, **options)

    monkeypatch.setattr(HeapReader, "open", late)
    monkeypatch.setattr(tracing, "CONNECT_SECONDS", 0.5)
    yield streams_left
    for connection in taken:
        connection.close()


GROWS_AT_MARKS = """
    from leaklab import mark
    kept = []
    for _ in range(20):
        kept.append(bytearray(9_000))
        mark()
"""


def test_a_stream_that_somebody_else_reads_is_begun_again(tmp_path: Path, thief: list[int]) -> None:
    thief[0] = 2
    run = recorded.record(tmp_path, GROWS_AT_MARKS, passes=("explain",))
    assert run.meta["passes"][0]["exit_status"] == 0
    assert run.meta["passes"][0]["traced"] is True
    assert not len(run.table("events"))
    assert run.snapshots["exact"].iloc[1:].all()  # a busy machine may look before it is read
    heap = judge(run).resource("heap_bytes")
    assert heap is not None and heap.rate == pytest.approx(9_000, rel=0.05)


def test_one_who_takes_every_stream_is_noticed(tmp_path: Path, thief: list[int]) -> None:
    thief[0] = 100
    run = recorded.record(tmp_path, GROWS_AT_MARKS, passes=("explain",))
    assert thief == [100 - tracing.STREAM_TRIES]
    assert run.meta["passes"][0]["exit_status"] == 0
    assert run.meta["passes"][0]["traced"] is False
    assert "somebody else" in run.meta["passes"][0]["why_untraced"]
    assert run.meta["processes"][0]["mark_count"] == 20


READER_ENDS = """
    import os, sys
    from leaklab import mark
    kept = []
    def work(count):
        for _ in range(count):
            kept.append(bytearray(9_000))
            mark()
    work(20)
    if not os.fork():
        work(10)
        os._exit(0)
    assert os.wait()[1] == 0
    sys.exit(7)
"""


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
def test_a_heap_reader_that_ends_costs_the_heap_of_those_it_was_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: signal.Signals
) -> None:
    taken: list[int] = []
    honest = HeapStream.take

    def take(self: HeapStream, *arguments: Any) -> None:
        taken.append(self.number)
        if len(taken) == 10:
            self._reader._process.send_signal(fault)
        honest(self, *arguments)

    monkeypatch.setattr(HeapStream, "take", take)
    monkeypatch.setattr(helpers, "_STALL_SECONDS", 2.0)
    run = recorded.record(tmp_path, READER_ENDS, passes=("explain",))
    ended = run.meta["passes"][0]
    assert (run.meta["state"], ended["exit_status"], ended["traced"]) == ("complete", 7, True)
    assert ended["duration_seconds"] < 25
    main, child = run.meta["processes"]
    assert (main["mark_count"], child["mark_count"]) == (20, 30 - 20)
    (event,) = [event for event in run.meta["events"] if event["kind"] == "untraced"]
    assert event["process"] == main["process"]
    assert "heap reader" in event["text"] and event["text"] == main["note"]
    # The child has a reader of its own.
    assert (child["traced"], child["note"]) == (True, None)
    counts = run.snapshots["process"].value_counts()
    assert counts[main["process"]] == 9
    assert counts[child["process"]] == 10


def test_a_heap_reader_that_hangs_in_the_middle_of_a_unit_of_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = HeapStream.finish

    def finish(self: HeapStream) -> Any:
        found = honest(self)
        if found.allocation_count >= 1_000:
            self._reader._process.send_signal(signal.SIGSTOP)
        return found

    monkeypatch.setattr(HeapStream, "finish", finish)
    run = recorded.record(
        tmp_path,
        """
        import sys
        from leaklab import mark
        kept = [bytearray(100) for _ in range(1_000)]
        mark()
        # Tells more than fits into any socket: it waits for who reads it, and never marks again.
        for _ in range(5_000_000):
            bytearray(100)
        sys.exit(7)
        """,
        passes=("explain",),
        duration_seconds=60,
    )
    ended = run.meta["passes"][0]
    assert (run.meta["state"], ended["stopped_by"], ended["exit_status"]) == ("complete", None, 7)
    (event,) = [event for event in run.meta["events"] if event["kind"] == "untraced"]
    assert "heap reader does not answer: it hangs" in event["text"]
    assert run.snapshots["mark"].dropna().tolist() == [1]


def test_no_reader_at_all_holds_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: HeapReader, folder: str) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(HeapReader, "__init__", fail)
    run = recorded.record(tmp_path, READER_ENDS, passes=("explain",))
    ended = run.meta["passes"][0]
    assert (ended["exit_status"], ended["traced"]) == (7, False)
    assert ended["why_untraced"] == "heap not traced: no more processes"
    assert ended["duration_seconds"] < 25
    assert [p["mark_count"] for p in run.meta["processes"]] == [20, 10]


def test_nonsense_on_the_channel_is_hung_up_on(tmp_path: Path) -> None:
    run = recorded.record(
        tmp_path,
        """
        import os, socket
        from leaklab import mark
        lines = []
        for text in (b"nonsense", b"[]", b"{}", b'{"kind": "mark"}', b'{"kind": "done"}', b"\\xff"):
            line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            line.connect(os.environ["LEAKLAB_CHANNEL"])
            line.send(text)
            line.settimeout(10)
            assert line.recv(100) == b"", text
            line.close()
            mark()
        """,
    )
    assert run.meta["passes"][0]["stderr_tail"] == ""
    assert run.meta["processes"][0]["mark_count"] == 6


def test_a_full_disk_ends_the_run_readably(tmp_path: Path) -> None:
    recorded.script(tmp_path, WORK)
    code = textwrap.dedent(
        """
        import resource, signal, sys
        from leaklab.errors import LeaklabError
        from leaklab.recorder.options import RecordOptions
        from leaklab.recorder.recording import record_run
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        try:
            record_run(RecordOptions(command=["target.py"], store="store", passes=("measure",),
                interval_seconds=0.002))
        except LeaklabError as error:
            print(error)
        """
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert ended.stdout.startswith("the store is full: "), ended.stderr
    assert ended.stdout.count("\n") == 1
    (path,) = tmp_path.glob("store/*/*/*")
    run = open_run(path)
    assert run.meta["state"] == "incomplete"
    assert len(run.samples) > 0
    assert not psutil.pid_exists(run.meta["processes"][0]["pid"])


def test_a_clock_that_jumps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jumps = iter(range(1, 1_000_000))
    monkeypatch.setattr(time, "time", lambda: 1e9 - 1e6 * next(jumps))
    run = recorded.record(
        tmp_path,
        """
        import time
        time.time = lambda: -1.0
        from leaklab import mark
        for _ in range(10):
            time.sleep(0.01)
            mark()
        """,
    )
    rows = run.samples[run.samples["name"] == "rss_bytes"]
    assert rows["time_seconds"].between(0, 30).all()
    assert 0.1 <= run.meta["passes"][0]["duration_seconds"] < 30


def test_what_a_target_prints_does_not_drive_the_terminal(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    from leaklab.recorder.options import RecordOptions
    from leaklab.recorder.recording import record_run

    recorded.script(
        tmp_path, "import time\nprint('\\x1b[2J\\x07evil', flush=True)\ntime.sleep(0.6)"
    )
    options = RecordOptions(
        command=["target.py"], cwd=str(tmp_path), store=str(tmp_path / "s"), passes=("measure",)
    )
    record_run(options, told.append)
    assert any("evil" in event["text"] for event in told)
    assert all(event["text"].isprintable() for event in told)
    assert {"started", "figures", "ended"} <= {event["kind"] for event in told}


def test_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file is in the way")
    with pytest.raises(LeaklabError, match="store"):
        recorded.record(tmp_path, "pass")
