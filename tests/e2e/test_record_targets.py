"""Targets as they come: what they do is recorded, what goes wrong is said, nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path, PurePath
from typing import Any

import psutil
import pytest
import recorded

from leaklab.errors import LeaklabError
from leaklab.recorder import pass_end, stdin_relay
from leaklab.recorder.processes import looks
from leaklab.store import RunData, open_run

LEAK = """
    import sys
    from leaklab import gauge, mark
    kept = []
    def keep():
        kept.append(bytearray(1000 - 57))
    def churn():
        return [bytes(1000) for _ in range(500)]
    for number in range(int(sys.argv[1])):
        keep()
        churn()
        gauge("kept", len(kept))
        mark()
"""


def test_growth_of_the_heap_is_exact_and_has_its_line(tmp_path: Path) -> None:
    run = recorded.record(tmp_path, LEAK, "60", passes=("measure", "explain"))
    snapshots = run.snapshots[run.snapshots["mark"].notna()]
    assert snapshots["exact"].all()
    slope = (snapshots["live_bytes"].iloc[-1] - snapshots["live_bytes"].iloc[10]) / (
        snapshots["mark"].iloc[-1] - snapshots["mark"].iloc[10]
    )
    # 1,000 bytes and eight for the list's slot, which grows in steps.
    assert slope == pytest.approx(1008, rel=0.01)
    totals = run.heap.groupby("stack_id")["live_bytes"].last()
    frames = run.frames.set_index("frame_id")
    stacks = run.stacks.set_index("stack_id")
    top = frames.loc[stacks.loc[totals.idxmax(), "frame_ids"][0]]
    assert (top["function"], top["file"], top["origin"]) == ("keep", "target.py", "target")
    line = run.sources[run.sources["line"] == top["line"]]
    assert "bytearray(1000 - 57)" in line["text"].iloc[0]


def test_the_heap_at_exit_does_not_stand_for_the_last_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So few snapshots that there is none at the last mark.
    monkeypatch.setattr(looks, "FREE_SECONDS", 0.0)
    run = recorded.record(
        tmp_path,
        """
        from leaklab import mark
        def work():
            kept = []
            for _ in range(41):
                kept.append(bytearray(50_000))
                mark()
        work()
        """,
        passes=("explain",),
        snapshot_share=1e-9,
    )
    last = run.snapshots.iloc[-1]
    assert 20 <= last["mark"] < 41
    assert last["live_bytes"] >= last["mark"] * 50_000
    assert run.meta["processes"][0]["mark_count"] == 41
    kept = run.meta["passes"][0]["kept"]
    assert (kept["mark_count"], kept["measured_mark_count"]) == (41, 41)
    assert kept["snapshot_count"] == len(run.snapshots) < 41


def test_every_mark_has_its_figures(tmp_path: Path) -> None:
    run = recorded.record(tmp_path, LEAK, "25")
    assert recorded.values(run, "gauge:kept") == [float(number) for number in range(1, 26)]
    # Three, and the file that a newer libffi keeps open from the moment the probe imports ctypes.
    count = "import ctypes, os; print(len(os.listdir('/proc/self/fd')) - 1)"
    alone = subprocess.run([sys.executable, "-c", count], capture_output=True, check=True)
    assert set(recorded.values(run, "fd_count")) == {float(alone.stdout)}
    assert set(recorded.values(run, "thread_count")) == {1.0}
    assert set(recorded.values(run, "child_count")) == {0.0}
    assert set(recorded.values(run, "socket_count")) == {0.0}
    assert run.samples[run.samples["mark"].notna()]["quiescent"].any()
    process = run.meta["processes"][0]
    assert (process["role"], process["mark_count"], process["exit_status"]) == ("main", 25, 0)


def test_the_peak_between_marks_is_seen_and_starts_anew(tmp_path: Path) -> None:
    run = recorded.record(
        tmp_path,
        """
        from leaklab import mark
        mark()
        for size in (1, 60, 1):
            block = bytearray(size << 20)
            del block
            mark()
        """,
    )
    peaks = recorded.values(run, "rss_peak_bytes")
    if not peaks:
        pytest.skip("the peak cannot be reset here (clear_refs is not writable)")
    resident = recorded.values(run, "rss_bytes")
    assert peaks[2] - resident[2] > 50 << 20
    assert peaks[3] - resident[3] < 10 << 20


def test_the_target_sees_nothing_of_the_recording(tmp_path: Path) -> None:
    source = """
        import json, os, sys
        print(json.dumps([
            sys.argv[1:], __name__, sorted(map(int, os.listdir("/dev/fd")))[:3], sys.path[1:],
            [m for m in sys.modules if "leaklab" in m and not m.startswith("_leaklab_probe")],
            __file__,
        ]))
        print("to stderr", file=sys.stderr)
        sys.exit(7)
    """
    path = recorded.script(tmp_path, source)
    run = recorded.record(tmp_path, path, "a b", "--x")
    ended = run.meta["passes"][0]
    bare = subprocess.run(
        [sys.executable, str(path), "a b", "--x"], capture_output=True, text=True, cwd=tmp_path
    )
    seen, expected = json.loads(ended["stdout_tail"]), json.loads(bare.stdout)
    # The stand-in for the `leaklab.probe.marks` module is all there is.
    assert seen.pop(4) == ["leaklab.probe.marks"]
    assert expected.pop(4) == []
    assert seen == expected
    assert ended["stderr_tail"] == bare.stderr
    assert ended["exit_status"] == bare.returncode == 7


def test_an_existing_sitecustomize_still_runs(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import builtins; builtins.customized = __file__")
    run = recorded.record(tmp_path, "print(customized)", env={"PYTHONPATH": str(tmp_path)})
    assert run.meta["passes"][0]["stdout_tail"].strip() == str(tmp_path / "sitecustomize.py")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def broken(:", {"exit_status": 1, "stderr_tail": "SyntaxError"}),
        ("raise SystemExit(3)", {"exit_status": 3}),
        ("import os; os._exit(9)", {"exit_status": 9}),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            {"exit_status": None, "signal": "SIGKILL"},
        ),
        ("import sys; print(repr(sys.stdin.read()))", {"exit_status": 0, "stdout_tail": "''"}),
    ],
    ids=["syntax-error", "exit-status", "os-exit", "killed", "stdin"],
)
def test_how_a_target_ends_is_in_the_run(
    tmp_path: Path, source: str, expected: dict[str, object]
) -> None:
    run = recorded.record(tmp_path, source)
    ended = run.meta["passes"][0]
    assert run.meta["state"] == "complete"
    assert ended["stopped_by"] is None
    for name, value in expected.items():
        if isinstance(value, str) and name.endswith("tail"):
            assert value in ended[name]
        else:
            assert ended[name] == value


def test_a_target_that_prints_megabytes_keeps_a_tail(tmp_path: Path) -> None:
    run = recorded.record(
        tmp_path, "for n in range(300_000): print('line', n, 'x' * 60)\nprint('the end')"
    )
    ended = run.meta["passes"][0]
    assert ended["stdout_tail"].endswith("the end\n")
    assert len(ended["stdout_tail"]) < 20_000
    assert not list(Path(run.path).glob("*.txt"))


def test_a_target_that_runs_for_ever_is_stopped(tmp_path: Path) -> None:
    run = recorded.record(
        tmp_path,
        """
        import signal, time
        from leaklab import mark
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("begun", flush=True)
        mark()  # from here on the duration counts
        while True:
            time.sleep(0.05)
        """,
        duration_seconds=1.5,
    )
    ended = run.meta["passes"][0]
    assert (ended["stopped_by"], ended["signal"]) == ("duration", "SIGTERM")
    assert ended["duration_seconds"] >= 1.5
    assert ended["stdout_tail"] == "begun\n"


def test_a_memory_limit_stops_the_target(tmp_path: Path) -> None:
    run = recorded.record(
        tmp_path,
        """
        import time
        kept = []
        while True:
            kept.append(b"x" * (1 << 20))
            time.sleep(0.002)
        """,
        limit_memory_bytes=60 << 20,
    )
    ended = run.meta["passes"][0]
    assert ended["stopped_by"] == "limit-memory"
    assert any(event["kind"] == "stop" for event in run.meta["events"])
    peak = run.samples[run.samples["name"] == "rss_bytes"]["value"].max()
    assert 60 << 20 < peak < 160 << 20


def test_a_disk_limit_stops_the_target(tmp_path: Path) -> None:
    run = recorded.record(
        tmp_path,
        "while True: print('x' * 1000)",
        limit_disk_bytes=8 << 20,
    )
    assert run.meta["passes"][0]["stopped_by"] == "limit-disk"


def test_a_target_without_marks_is_sampled_by_interval(tmp_path: Path) -> None:
    run = recorded.record(
        tmp_path,
        """
        import time
        from leaklab import gauge
        kept = []
        for number in range(40):
            kept.append(b"x" * (1 << 20))
            gauge("kept", number)
            time.sleep(0.02)
        """,
        interval_seconds=0.02,
    )
    rows = run.samples[run.samples["name"] == "rss_bytes"]
    assert len(rows) > 20
    assert rows["value"].iloc[-1] - rows["value"].iloc[0] > 25 << 20
    assert rows[~rows["quiescent"]]["mark"].isna().all()
    assert (run.samples["name"] == "gauge:kept").any()


def test_without_marks_the_heap_is_looked_at_by_interval(tmp_path: Path) -> None:
    run = recorded.record(
        tmp_path,
        """
        import time
        kept = []
        for number in range(50):
            kept.append(bytearray(100_000))
            time.sleep(0.04)
        """,
        passes=("explain",),
    )
    live = run.snapshots["live_bytes"]
    assert len(live) >= 3
    assert live.iloc[-1] - live.iloc[0] > 500_000


def test_lines_of_output_count_as_marks(tmp_path: Path) -> None:
    run = recorded.record(
        tmp_path,
        """
        import time
        for number in range(12):
            time.sleep(0.03)
            print("served", number, flush=True)
            print("something else", flush=True)
        """,
        mark_on=["line:^served"],
    )
    assert run.meta["processes"][0]["mark_count"] == 12
    assert recorded.values(run, "rss_bytes")


def test_calls_of_a_function_count_as_marks(tmp_path: Path) -> None:
    recorded.script(
        tmp_path,
        """
        import asyncio
        KEPT = []
        class Service:
            def handle(self, n):
                KEPT.append(bytearray(n))
                return n
            @staticmethod
            def fixed():
                return 1
            async def later(self):
                await asyncio.sleep(0)
                return self
        """,
        "service.py",
    )
    run = recorded.record(
        tmp_path,
        """
        import asyncio
        from service import Service
        service = Service()
        assert [service.handle(n) for n in range(10)] == list(range(10))
        assert Service.fixed() == service.fixed() == 1
        assert asyncio.run(service.later()) is service
        assert Service.handle.__name__ == "handle"
        """,
        passes=("explain",),
        mark_on=[f"call:service:Service.{name}" for name in ("handle", "fixed", "later", "gone")],
    )
    assert run.meta["passes"][0]["stderr_tail"] == ""
    assert run.meta["processes"][0]["mark_count"] == 13
    assert "<leaklab>" not in set(run.frames["file"])
    assert "handle" in set(run.frames["function"])


@pytest.mark.parametrize(("function", "count"), [("handle", 5), ("gone", 0)])
def test_calls_of_the_main_program_end_units_of_work(
    tmp_path: Path, function: str, count: int
) -> None:
    run = recorded.record(
        tmp_path,
        """
        def handle():
            pass
        for _ in range(5):
            handle()
        """,
        passes=("measure",),
        mark_on=[f"call:target:{function}"],
    )
    assert run.meta["processes"][0]["mark_count"] == count
    unseen = [event["text"] for event in run.meta["events"] if event["kind"] == "no marks"]
    assert len(unseen) == (count == 0)
    assert all(text.startswith("--mark-on call:target:gone saw nothing") for text in unseen)


def test_gc_is_left_alone_where_the_target_has_switched_it_off(tmp_path: Path) -> None:
    source = """
        import gc
        from leaklab import mark
        gc.disable()
        for _ in range(10):
            ring = []
            ring.append(ring)
            mark()
    """
    run = recorded.record(tmp_path, source)
    assert not run.samples["quiescent"].any()
    run = recorded.record(tmp_path, source, collect="always")
    assert run.samples[run.samples["mark"].notna()]["quiescent"].all()


def test_what_the_probe_holds_does_not_pile_up_where_nothing_is_collected(tmp_path: Path) -> None:
    source = """
        import gc
        from leaklab import mark
        gc.disable()
        for number in range(60):
            freed = [{number + n: None} for n in range(200)] + [[n] for n in range(200)]
            del freed
            mark()
    """
    run = recorded.record(tmp_path, source, passes=("explain",), graphs="never")
    live = run.snapshots.set_index("mark")["live_bytes"]
    # 24 objects of seventeen kinds at each mark would be 480 kB and more.
    assert live[60] - live[20] < 10_000


MADE = [
    "number + number",
    "fraction + fraction",
    "{}",
    "{'key': number}",
    "(number, number)",
    "[number]",
    "slice(number)",
    "range(number)",
    "iter(some)",
    "owner.method",
    "some.append",
]


@pytest.mark.parametrize("made", [MADE[first::3] for first in range(3)], ids=str)
def test_one_recycled_object_at_each_mark_is_seen(made: list[str], tmp_path: Path) -> None:
    # CPython hands such objects out again untold: none of the probe's may be among them.
    run = recorded.record(
        tmp_path,
        f"""
        from itertools import repeat
        from leaklab import mark
        class Owner:
            def method(self): pass
        owner, some, number, fraction = Owner(), [None], 1000, 0.5
        makers = [{", ".join(f"lambda: {one}" for one in made)}]
        kept = [[None] * 400 for _ in makers]
        def keep(held, place, make):
            held[place] = make()
        for held, maker in zip(kept, makers):
            place = iter(range(400))
            for make in repeat(maker, 400):
                keep(held, next(place), make)
                mark()
        """,
        passes=("explain",),
        graphs="never",
    )
    # One that was taken while no mark came stands for none.
    live = run.snapshots.dropna(subset="mark").set_index("mark")["live_bytes"].sort_index()
    names = {"number": 1000, "fraction": 0.5, "some": [None], "owner": PurePath()}
    for end, one in enumerate(made, 1):
        # The first ones come from what was left in the free lists before.
        marks = live.index[(live.index >= 400 * end - 200) & (live.index <= 400 * end)]
        size = sys.getsizeof(eval(one.replace("owner.method", "owner.joinpath"), names))
        assert live[marks[-1]] - live[marks[0]] >= size * (marks[-1] - marks[0]) > 0, one


def test_sizes_of_watched_files(tmp_path: Path) -> None:
    run = recorded.record(
        tmp_path,
        """
        from leaklab import mark
        for _ in range(5):
            with open("grows.log", "ab") as file:
                file.write(b"x" * 100)
            mark()
        """,
        watch_files=["grows.log", "missing.log"],
    )
    assert recorded.values(run, "file_bytes:grows.log") == [100, 200, 300, 400, 500]
    assert recorded.values(run, "file_bytes:missing.log") == []


def test_a_capture_is_kept_when_asked_for(tmp_path: Path) -> None:
    import memray

    run = recorded.record(tmp_path, LEAK, "5", passes=("explain",), keep_capture=True)
    (capture,) = Path(run.path).glob("capture-*.bin")
    with memray.FileReader(capture) as reader:
        assert any(record.size >= 900 for record in reader.get_allocation_records())


def test_what_cannot_be_started_leaves_no_run(tmp_path: Path) -> None:
    with pytest.raises(LeaklabError, match=r"no such script: gone\.py"):
        recorded.record_program(tmp_path, ["gone.py"])
    assert not (tmp_path / "store").exists()


def test_nothing_stays_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "t"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(pass_end, "LEFT_BEHIND_SECONDS", 0.2)
    before = list(Path("/proc/self/fd").iterdir())
    run = recorded.record(
        tmp_path,
        """
        import subprocess, sys
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        """,
        passes=("measure", "explain"),
    )
    assert list(temporary.iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == len(before)
    assert [event["kind"] for event in run.meta["events"]].count("left-behind") == 2
    for process in run.meta["processes"]:
        with pytest.raises(ProcessLookupError):
            os.kill(process["pid"], signal.SIG_DFL)


def test_recording_until_the_verdict_is_decided(tmp_path: Path) -> None:
    run = recorded.record(
        tmp_path,
        """
        import time
        from leaklab import mark
        kept = []
        for _ in range(100_000):
            kept.append(b"x" * 100_000)
            time.sleep(0.005)
            mark()
        """,
        until_decided=True,
        duration_seconds=60,
    )
    assert run.meta["passes"][0]["stopped_by"] == "decided"
    (stop,) = [event["text"] for event in run.meta["events"] if event["kind"] == "stop"]
    assert stop.startswith("leak: ")
    assert 40 <= run.meta["processes"][0]["mark_count"] < 6000


TWO_PASSES = """
    import sys
    from leaklab.recorder.options import RecordOptions
    from leaklab.recorder.recording import record_run
    print(record_run(RecordOptions(command=["target.py"], store="store", stdin="inherit",
          passes=("measure", "explain"), graphs="never", **eval(sys.argv[1]))))
"""


def record_with_stdin(folder: Path, source: str, options: str = "{}", **given: Any) -> RunData:
    """Record a script twice in a process of its own, with this standard input."""
    recorded.script(folder, source)
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(TWO_PASSES), options],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
        **given,
    )
    run = open_run(str(folder / ended.stdout.strip()))
    assert not list(Path(run.path).glob("*stdin*"))
    return run


@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_stdin_reaches_the_target_in_each_pass(tmp_path: Path, kind: str) -> None:
    text = "a b\n" * 50_000  # more than a pipe holds
    (tmp_path / "input.txt").write_text(text)
    with (tmp_path / "input.txt").open() as file:
        run = record_with_stdin(
            tmp_path,
            "import sys; print(len(sys.stdin.read().split()))",
            **({"stdin": file} if kind == "file" else {"input": text}),
        )
    assert [p["stdout_tail"] for p in run.meta["passes"]] == ["100000\n", "100000\n"]


def names(process: psutil.Process, folder: Path) -> bool:
    """Whether a process has the folder in its command line."""
    return any(str(folder) in word for word in process.info["cmdline"] or ())


def test_a_pipe_that_stays_open_holds_nothing_up(tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    with os.fdopen(ours), os.fdopen(theirs, "w") as writing:
        writing.write("first\nsecond\n")
        writing.flush()
        run = record_with_stdin(tmp_path, "print(input())", stdin=ours)
    assert [p["stdout_tail"] for p in run.meta["passes"]] == ["first\n", "first\n"]
    assert not [p for p in psutil.process_iter(["cmdline"]) if names(p, tmp_path)]


def test_a_pipe_is_not_read_any_more_when_its_target_has_ended(tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    with (
        os.fdopen(ours),
        os.fdopen(theirs, "w") as writing,
        socket.socket(socket.AF_UNIX) as server,
    ):
        server.bind(str(tmp_path / "server"))
        server.listen()
        writing.write("first\n")
        writing.flush()
        # As clients of terminal servers do: somebody else then has the target's input, so that
        # the end of the target is not the end of its pipe.
        run = record_with_stdin(
            tmp_path,
            """
            import socket
            print(input())
            with socket.socket(socket.AF_UNIX) as line:
                line.connect("server")
                socket.send_fds(line, [b"."], [0])
            """,
            stdin=ours,
        )
        assert not [p for p in psutil.process_iter(["cmdline"]) if names(p, tmp_path)]
    assert [p["stdout_tail"] for p in run.meta["passes"]] == ["first\n", "first\n"]


def test_the_copy_of_a_pipe_counts_as_disk(tmp_path: Path) -> None:
    run = record_with_stdin(
        tmp_path,
        """
        import sys, time
        sys.stdin.read()
        time.sleep(20)
        """,
        options="dict(limit_disk_bytes=2_000_000)",
        input="x" * 3_000_000,
    )
    assert [p["stopped_by"] for p in run.meta["passes"]] == ["limit-disk", "limit-disk"]


def test_input_that_there_is_no_room_for_still_reaches_the_target(tmp_path: Path) -> None:
    text, copy = "x" * 300_000, tmp_path / "copy"
    ended = subprocess.run(
        ["sh", "-c", 'ulimit -f 100; exec "$0" "$@"', sys.executable, stdin_relay.__file__, copy],
        input=text,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    assert ended.stdout == text
    assert not copy.exists()  # and the later passes are told that there is none


def test_a_collection_that_waits_for_the_machine_is_no_dearer(tmp_path: Path) -> None:
    # On a busy machine a collection takes long and does little: it must not become rarer for it.
    run = recorded.record(
        tmp_path,
        """
        import gc, time
        from leaklab import mark

        gc.callbacks.append(lambda phase, info: info["generation"] == 2 and time.sleep(0.02))
        for _ in range(70):
            mark()
        """,
        passes=("measure",),
    )
    (row,) = run.meta["processes"]
    assert row["looks"]["collection_step"] == 1


@pytest.mark.parametrize("kind", ["none", "young", "old"])
def test_everything_is_collected_where_there_is_old_garbage(tmp_path: Path, kind: str) -> None:
    """After a look nothing is left that could be freed, whatever was collected for it."""
    run = recorded.record(
        tmp_path,
        f"""
        import gc
        from leaklab import gauge, mark

        class Node:
            alive = 0
            def __init__(self):
                self.me = self
                Node.alive += 1
            def __del__(self):
                Node.alive -= 1

        full = []
        gc.callbacks.append(lambda phase, info: phase == "stop" and info["generation"] == 2
                            and full.append(1))
        kept = [Node() for _ in range(5)]
        for _ in range(200):
            if "{kind}" == "young":
                Node()
            elif "{kind}" == "old":
                kept.append(Node())
                del kept[:-5]
            gauge("full", len(full))
            mark()
            gauge("alive", Node.alive)
        """,
        # Within its share a collection of everything is made to be sure.
        collect_share=1e-9,
    )
    looks = int(run.samples[run.samples["name"] == "rss_bytes"]["quiescent"].fillna(False).sum())
    assert looks >= 32
    full = recorded.values(run, "gauge:full")[-1]
    assert full >= looks - 2 if kind == "old" else full <= 16
    assert recorded.values(run, "gauge:alive")[-1] == 5
