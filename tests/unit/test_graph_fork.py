"""The copy that walks the heap is invisible to the target."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from leaklab.errors import LeaklabError
from leaklab.object_graph.file import read_dump
from leaklab.recorder.graph import dump_outcome, wait_dump

REPOSITORY = Path(__file__).parents[2]

BEGIN = """
import importlib.util, json, os, signal, sys, threading, time
folder = sys.argv[1] + "/leaklab/probe"
spec = importlib.util.spec_from_file_location("_leaklab_probe", folder + "/__init__.py",
    submodule_search_locations=[folder])
module = importlib.util.module_from_spec(spec)
sys.modules["_leaklab_probe"] = module
spec.loader.exec_module(module)
from _leaklab_probe import graph
path = sys.argv[2]
"""


def run(tmp_path, body, dump="graph.dump", timeout=60, before=()):
    done = subprocess.run(
        [
            *before,
            sys.executable,
            "-W",
            "error",
            "-c",
            BEGIN + body,
            str(REPOSITORY),
            str(tmp_path / dump),
        ],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nothing_of_the_copy_reaches_the_target(tmp_path):
    body = """
signals, hooks = [], []
signal.signal(signal.SIGCHLD, lambda *_: signals.append(1))
os.register_at_fork(before=lambda: hooks.append(1), after_in_parent=lambda: hooks.append(2),
    after_in_child=lambda: os.write(1, b"hook"))
class Loud:
    def __del__(self): os.write(1, b"deleted")
local = threading.local()
go = threading.Event()
def work():
    local.value = Loud()
    go.wait()
threading.Thread(target=work, daemon=True).start()
import atexit
atexit.register(lambda: os.write(1, b" exit"))
sys.stdout.write("buffered once ")
graph.prepare()  # newer libffi opens a file when ctypes is imported, and keeps it
before = set(os.listdir("/proc/self/fd"))
done = graph.dump_by_fork(path)
assert set(os.listdir("/proc/self/fd")) == before
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    pass
else:
    raise SystemExit("there is a child")
for _ in range(3):
    time.sleep(0)
assert not signals and not hooks, (signals, hooks)
assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
print(done["pid"])
"""
    said = run(tmp_path, body)
    assert said.startswith("buffered once ")
    assert said.count("buffered") == 1
    assert "hook" not in said
    assert said.count("exit") == 1
    assert said.count("deleted") <= 1  # at most by the target itself, at its end
    pid = int(said.split()[2].removesuffix("deleted"))
    wait_dump(tmp_path / "graph.dump", pid, 30)
    assert len(read_dump(tmp_path / "graph.dump").address) > 1000


def test_a_childs_own_signal_is_not_swallowed(tmp_path):
    body = """
signals = []
signal.signal(signal.SIGCHLD, lambda *_: signals.append(1))
signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGCHLD,))
child = os.fork()
if child == 0:
    os._exit(7)
os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
signal.sigtimedwait((signal.SIGCHLD,), 1)
late = os.fork()
if late == 0:
    time.sleep(0.3)
    os._exit(0)
graph.dump_by_fork(path)
signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGCHLD,))
assert os.WEXITSTATUS(os.waitpid(child, 0)[1]) == 7
os.waitpid(late, 0)
for _ in range(3):
    time.sleep(0)
assert signals, "the signal of the target's own child was lost"
"""
    run(tmp_path, body)


def test_busy_threads_do_not_hold_the_copy_up(tmp_path):
    body = """
def spin():
    while True:
        {"a": [1, 2, 3]}
for _ in range(4):
    threading.Thread(target=spin, daemon=True).start()
pids = [graph.dump_by_fork(path + str(number))["pid"] for number in range(12)]
print(json.dumps(pids))
sys.stdout.flush()
os._exit(0)
"""
    pids = json.loads(run(tmp_path, body))
    for number, pid in enumerate(pids):
        wait_dump(tmp_path / f"graph.dump{number}", pid, 30)


def test_out_of_time_is_said(tmp_path):
    body = """
many = [[] for _ in range(200_000)]
print(graph.dump_by_fork(path, limit_seconds=0.02)["pid"])
"""
    pid = int(run(tmp_path, body))
    with pytest.raises(LeaklabError, match="out of time: limit"):
        wait_dump(tmp_path / "graph.dump", pid, 30)


def test_a_killed_walker_is_noticed(tmp_path):
    body = """
many = [[] for _ in range(300_000)]
pid = graph.dump_by_fork(path)["pid"]
os.kill(pid, signal.SIGKILL)
print(pid)
"""
    pid = int(run(tmp_path, body))
    with pytest.raises(LeaklabError, match="walker was killed"):
        wait_dump(tmp_path / "graph.dump", pid, 30)
    assert dump_outcome(tmp_path / "no such file")["status"] == "failed"


def test_a_forked_worker_dumps_itself(tmp_path):
    body = """
KEPT = {"worker": ["state"]}
child = os.fork()
if child == 0:
    done = graph.dump_by_fork(path)
    os.write(1, str(done["pid"]).encode())
    os._exit(0)
os.waitpid(child, 0)
"""
    pid = int(run(tmp_path, body))
    wait_dump(tmp_path / "graph.dump", pid, 30)
    assert "KEPT" in " ".join(read_dump(tmp_path / "graph.dump").texts)


def test_no_dump_is_no_dump(tmp_path):
    (tmp_path / "other").write_text("something else")
    with pytest.raises(LeaklabError, match="not a dump"):
        read_dump(tmp_path / "other")


def test_process_1_of_a_container_collects_the_copy(tmp_path):
    alone = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if subprocess.run([*alone, "true"], check=False).returncode:
        pytest.skip("no namespaces can be made here")
    body = """
assert os.getpid() == 1
try:
    graph.dump_by_fork(path)
except graph.ForkError as problem:
    print(problem)
done = graph.dump_by_fork(path, adopt=True)
print(os.waitpid(done["pid"], 0)[1])
child = os.fork()  # not process 1, and yet it collects what it has begun
if not child:
    done = graph.dump_by_fork(path + "2", adopt=True)
    os._exit(os.waitpid(done["pid"], 0)[1])
print(os.waitpid(child, 0)[1])
"""
    said = run(tmp_path, body, before=alone).splitlines()
    assert said[0].startswith("this is process 1, which inherits every orphan")
    assert said[1:] == ["0", "0"]
    for name in ("graph.dump", "graph.dump2"):
        assert read_dump(tmp_path / name).address.size > 1000


def test_a_process_with_subinterpreters_is_not_copied(tmp_path):
    """The copy ends them before anything of ours runs there, which hangs or aborts."""
    body = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
one = interpreters.create()
try:
    graph.dump_by_fork(path)
except graph.ForkError as problem:
    print(problem)
graph.dump_here(path)
interpreters.destroy(one)
graph.dump_by_fork(path + ".copy")
"""
    text = "a process with subinterpreters cannot be copied: dump without a copy\n"
    assert run(tmp_path, body) == text
    assert dump_outcome(tmp_path / "graph.dump")["status"] == "complete"


def test_the_walk_counts_no_reference_of_its_own(tmp_path):
    """One reference more, and garbage counts as held by native code: no line would free it."""
    body = """
import gc
class Kept: pass
class Local: pass
def fails():
    held = Local()
    raise ValueError
first, last = Kept(), Kept()
try:
    fails()
except ValueError as error:
    kept = error
everything = gc.get_objects
def _ordered():
    # The type that is seen first is walked last.
    found = everything()
    local = [each for each in found if type(each) is Local]
    return local + [each for each in found if type(each) is not Local and each is not last] + [last]
gc.get_objects = _ordered
print(graph.dump_by_fork(path)["pid"])
"""
    pid = int(run(tmp_path, body))
    wait_dump(tmp_path / "graph.dump", pid, 30)
    dump = read_dump(tmp_path / "graph.dump")
    for name, counts in (("Local", [1]), ("Kept", [1, 1])):
        kept = dump.type == dump.type_names.index(f"__main__.{name}")
        assert dump.reference_count[kept].tolist() == counts
