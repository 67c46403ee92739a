"""Object graphs in real recordings: beside the tracer, without it, and in forked workers."""

import venv

import pytest

from leaklab.errors import UsageError
from leaklab.recorder.graph import GraphDumps
from leaklab.recorder.options import RecordOptions
from leaklab.recorder.passes import PassRecorder
from leaklab.recorder.recording import record_run
from leaklab.results.run import Run
from leaklab.store import open_run
from leaklab.verdict import sequential
from leaklab.verdict.deciding import Decider

CACHE = """
import sys
from leaklab import mark
PAGES = {}
class Page:
    def __init__(self, number):
        self.body = "x" * 1000 + str(number)
def build_page(number):
    return Page(number)
def main():
    for number in range(int(sys.argv[1])):
        PAGES[number] = build_page(number)
        mark()
main()
"""


def record(tmp_path, source, *arguments, **options):
    target = tmp_path / "target.py"
    target.write_text(source)
    command = [str(target), *arguments]
    settings = RecordOptions(command=command, store=str(tmp_path / "runs"), **options)
    path = record_run(settings, decider=Decider)
    return Run(open_run(path))


def test_many_dumps_do_not_disturb_the_tracer(tmp_path, monkeypatch):
    monkeypatch.setattr(GraphDumps, "due", lambda self, process, mark, *_, **__: (mark or 0) >= 2)
    run = record(tmp_path, CACHE, "30", passes=("explain",))
    assert run.meta["events"] == []
    assert [process["role"] for process in run.meta["processes"]] == ["main"]
    assert run.meta["passes"][0]["exit_status"] == 0
    assert run.data.graph_dumps["state"].tolist() == ["complete"] * 3
    snapshots = run.data.snapshots
    assert snapshots[snapshots["mark"] > 1]["exact"].all()
    assert snapshots["mark"].max() >= 25
    children = run.data.samples.query("name == 'child_count'")["value"]
    assert not children.any()
    [row] = run.retention().head(1).to_dict("records")
    assert row["path"] == "__main__.PAGES → dict value → __main__.Page"
    assert row["holder"] == "__main__.PAGES"
    assert row["growth_count"] == pytest.approx(30 * 0.7, abs=3)
    assert row["rate"] == pytest.approx(1150, rel=0.3)
    assert row["suspect_rank"] == 1
    first = run.suspects().iloc[0]
    assert first["function"] in ("build_page", "__init__")
    assert first["retained_by"] == [row["path"]]


UNMARKED = """
import threading, time
class Entry:
    def __init__(self, number):
        self.body = "x" * 2000 + str(number)
CACHE = {}
assert threading.active_count() == 1
end = time.monotonic() + 5
while time.monotonic() < end:
    CACHE[len(CACHE)] = Entry(len(CACHE))
    time.sleep(0.002)
"""


@pytest.mark.parametrize("pass_name", ["graph", "explain"])
def test_a_program_without_marks_is_dumped_as_time_goes_by(tmp_path, pass_name):
    """Alone the pass knows of no marks beforehand: its own calls are the occasion."""
    run = record(tmp_path, UNMARKED, passes=(pass_name,))
    assert run.meta["passes"][0]["exit_status"] == 0
    assert len(run.data.graph_dumps) >= 2
    assert run.data.graph_dumps["mark"].isna().all()
    threads = run.data.samples.query("name == 'thread_count'")["value"]
    # Past the start of the tracer, whose threads come before it is known to run.
    assert set(threads[len(threads) // 2 :]) == {1.0}, "the probe's own thread is not the target's"
    row = run.retention().iloc[0]
    assert (row["holder"], row["type"]) == ("__main__.CACHE", "__main__.Entry")
    assert row["unit"] == "second"


def test_graphs_from_before_the_first_mark_are_dropped_once_there_are_marks(tmp_path):
    dumps = GraphDumps("explain", tmp_path, 60.0)
    for mark, now in ((None, 1.0), (None, 2.8), (3, 4.0)):
        path = dumps.path()
        path.touch()
        dumps.taken(0, mark, now, path, {})
    assert dumps.count(0) == 1
    assert list(tmp_path.iterdir()) == [path]


LATE = """
import time
SEEN = []
end = time.monotonic() + 2.5
while time.monotonic() < end:
    [bytes(1000) for _ in range(1000)]
for number in range(100):
    SEEN.append({"row": "x" * 5000 + str(number)})
    time.sleep(0.01)
"""


def test_growth_that_begins_late_is_in_a_graph_at_the_end_of_the_work(tmp_path):
    run = record(tmp_path, LATE, passes=("graph",))
    (ended,) = [one["work_ended_seconds"] for one in run.meta["processes"]]
    assert run.data.graph_dumps["time_seconds"].max() == pytest.approx(ended, abs=0.5)
    assert run.retention().iloc[0]["path"].startswith("__main__.SEEN")


CYCLES = """
import gc, threading, time
gc.set_threshold(1_000_000)
class Node:
    def __init__(self):
        self.body, self.itself = "x" * 5000, self
    def __del__(self):
        assert threading.current_thread() is threading.main_thread()
end = time.monotonic() + 4
while time.monotonic() < end:
    Node()
    time.sleep(0.002)
"""


def test_a_program_without_marks_is_collected_and_seen_exactly(tmp_path):
    run = record(tmp_path, CYCLES, passes=("measure", "explain"), graphs="never")
    assert run.meta["passes"][1]["exit_status"] == 0
    snapshots = run.data.snapshots
    quiet = snapshots["quiescent"].fillna(False).astype(bool)
    assert quiet.sum() >= 3
    assert snapshots.loc[quiet, "exact"].all(), "the barrier of the probe's thread is recognised"
    kept = snapshots.loc[quiet, "live_bytes"]
    assert kept.max() - kept.min() < 200_000, "garbage in cycles is no growth"
    heap = next(r for r in run.verdict().resources if r.name == "heap_bytes")
    assert heap.verdict == "bounded"


SERVICE = """
import threading, time
from leaklab import mark
class Entry:
    def __init__(self, number):
        self.body = "x" * 20_000 + str(number)
CACHE = {}
def fetch(number):
    CACHE[number] = Entry(number)
end = time.monotonic() + 60
while time.monotonic() < end:
    fetch(len(CACHE))
    time.sleep(0.01)
    mark()
"""


# What a busy machine makes of loading the tracer: longer than it is to trace.
SLOW_TO_TRACE = """
import sys, time
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "memray":
            time.sleep(3)
sys.meta_path.insert(0, Slow())
"""


@pytest.mark.parametrize(
    "source",
    [SERVICE, SERVICE.replace("    mark()\n", ""), SLOW_TO_TRACE + SERVICE],
    ids=["marks", "no marks", "slow to trace"],
)
def test_a_window_of_tracing_names_the_line_once_growth_is_seen(tmp_path, monkeypatch, source):
    # Without marks the first of the three looks that have to agree would come after ten seconds.
    monkeypatch.setattr(sequential, "FIRST_SECONDS", 4.0)
    run = record(tmp_path, source, passes=("graph",), traced_window_seconds=1.5, until_decided=True)
    graph, explain = run.meta["passes"]
    assert (graph["pass"], graph["traced"]) == ("graph", False)
    assert (explain["pass"], explain["traced"]) == ("explain", True)
    assert graph["stopped_by"] == "decided"
    assert graph["duration_seconds"] < 50
    [window] = [event for event in run.meta["events"] if event["kind"] == "window"]
    snapshots = run.data.snapshots
    assert snapshots["time_seconds"].min() >= window["time_seconds"]
    assert run.verdict().verdict == "leak"
    assert run.suspects()["file"].iloc[0].endswith("/target.py")
    assert run.suspects()["function"].iloc[0] in ("__init__", "fetch")
    assert run.retention().iloc[0]["holder"] == "__main__.CACHE"


def test_a_window_needs_the_graph_pass(tmp_path):
    with pytest.raises(UsageError, match="traced window without the graph pass: passes measure"):
        record(tmp_path, SERVICE, passes=("measure",), traced_window_seconds=1.5)


def test_without_tracing_holder_and_type_are_named(tmp_path):
    # One copy is walked at a time: the work must last longer than the first walk.
    unhurried = CACHE.replace("        mark()", "        time.sleep(0.02)\n        mark()")
    run = record(tmp_path, "import time" + unhurried, "150", passes=("graph",))
    assert not len(run.data.snapshots)
    [row] = run.retention().head(1).to_dict("records")
    assert (row["holder"], row["type"]) == ("__main__.PAGES", "__main__.Page")
    assert row["suspect_rank"] is None
    assert row["suspect_ranks"] == []


@pytest.mark.parametrize("graphs", ["fork", "never"])
def test_where_there_is_no_memray_a_graph_pass_takes_its_place(tmp_path, graphs):
    bare = tmp_path / "bare"
    venv.EnvBuilder(symlinks=True).create(bare)
    options = {"python": str(bare / "bin/python"), "graphs": graphs}
    run = record(tmp_path, CACHE, "60", passes=("measure", "explain"), **options)
    passes = [one["pass"] for one in run.meta["passes"]]
    (skipped,) = [one["text"] for one in run.meta["events"] if one["kind"] == "skipped"]
    assert f"{bare}/bin/python -m pip install memray" in skipped
    if graphs == "never":
        assert passes == ["measure"]
        assert "takes its place" not in skipped
    else:
        assert passes == ["measure", "graph"]
        assert "a graph pass takes its place, which names holders but no lines" in skipped
        assert run.retention()["holder"].iloc[0] == "__main__.PAGES"


def test_without_fork_the_target_waits(tmp_path):
    run = record(tmp_path, CACHE, "60", passes=("graph",), graphs="here")
    dumps = run.data.graph_dumps
    assert (dumps["state"] == "complete").all()
    assert run.retention()["holder"].iloc[0] == "__main__.PAGES"


def test_the_recorder_rests_while_a_graph_is_taken(tmp_path, monkeypatch):
    steps = []
    step = PassRecorder._step

    def counted(self):
        steps.append(self._handlers.copying)
        step(self)

    monkeypatch.setattr(PassRecorder, "_step", counted)
    source = "many = [[] for _ in range(200_000)]\n" + CACHE
    run = record(tmp_path, source, "5", passes=("graph",), graphs="here", interval_seconds=0.5)
    pause_seconds = run.data.graph_dumps["pause_seconds"].sum()
    assert pause_seconds > 0.1
    # Awake for what is due (output each 50 ms, new processes each 100 ms), not all the time.
    assert 1 <= sum(steps) <= 60 * pause_seconds + 10


def test_a_walk_that_takes_too_long_is_said(tmp_path):
    source = "many = [[] for _ in range(200_000)]\n" + CACHE
    run = record(tmp_path, source, "10", passes=("graph",), graph_limit_seconds=0.01)
    dumps = run.data.graph_dumps
    assert (dumps["state"] == "failed").all()
    assert dumps["reason"].str.contains("out of time").all()
    assert not len(run.retention())


def test_none_when_told_so(tmp_path):
    run = record(tmp_path, CACHE, "10", passes=("graph",), graphs="never")
    assert not len(run.data.graph_dumps)


WORKERS = """
import os, sys
from leaklab import mark
KEPT = []
def work():
    for number in range(150):
        KEPT.append({"number": number + 1000, "body": "x" * 500 + str(number)})
        mark()
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    children.append(child)
work()
for child in children:
    os.waitpid(child, 0)
"""


def test_parent_and_workers_that_are_dumped_at_the_same_time(tmp_path):
    run = record(tmp_path, WORKERS, passes=("graph",))
    dumps = run.data.graph_dumps
    assert (dumps["state"] == "complete").all(), dumps["reason"].tolist()
    paths = run.data.paths.query("tree == 'path'")
    for process in dumps["process"].unique():
        kept = paths[
            (paths["process"] == process) & (paths["path"] == "__main__.KEPT → list item → dict")
        ]
        assert len(kept) >= 2
    role = {entry["process"]: entry["role"] for entry in run.meta["processes"]}
    dumped = [role[process] for process in dumps["process"].unique()]
    assert sorted(dumped) == ["fork of main", "main"], "workers of one role say the same"


RECYCLED = """
import os, time
from leaklab import mark
KEPT = []
for worker in range(2):
    child = os.fork()
    if child == 0:
        for number in range((4, 150)[worker]):
            KEPT.append({"number": number + 1000, "body": "x" * 500 + str(number)})
            mark()
            time.sleep(0.005)  # one walk at a time, and it takes a while
        os._exit(0)
    os.waitpid(child, 0)
"""


def test_where_a_worker_ends_too_soon_the_next_of_its_role_is_dumped(tmp_path):
    run = record(tmp_path, RECYCLED, passes=("graph",))
    assert run.data.graph_dumps["process"].value_counts().max() >= 2
    assert run.retention()["path"].iloc[0] == "__main__.KEPT → list item → dict"


def test_what_the_measure_pass_has_seen_tells_when_to_dump(tmp_path):
    run = record(tmp_path, CACHE, "40", passes=("measure", "explain"))
    assert sorted(run.data.graph_dumps["mark"]) == [12, 24, 36]
