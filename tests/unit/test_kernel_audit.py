"""The statements of an audit, and what goes on beside the cells, without a kernel."""

import threading

import numpy as np
import pytest
from own_process import printed_by

import leaklab as ll
from leaklab.errors import LeaklabError
from leaklab.kernel_audit.holdings import holdings
from leaklab.kernel_audit.inventory import inventory
from leaklab.kernel_audit.lines import called, deleted, result_deleted, together
from leaklab.object_graph.graph import HeapDump, Root
from leaklab.object_graph.grouped import grouped


def test_a_result_is_deleted_under_a_name_that_stays_its_own() -> None:
    assert result_deleted(["_3"], ["Out[3]"]) == "%xdel _3"
    assert result_deleted(["no name"], []) == "get_ipython().del_var('no name')"
    assert result_deleted([], ["Out[3]"]).startswith("leaklab_result = Out[3]; ")


def test_no_statement_rebinds_a_name_of_the_users() -> None:
    assert deleted(["df", "no name", "class"]) == (
        "del df, globals()['no name'], globals()['class']"
    )
    assert called("gc", "collect()", {}) == "import gc; gc.collect()"
    for module, own in (("gc", "gc"), ("os.path", "os")):
        line = called(module, "nothing = None", {own: "of the user"})
        names = {own: "of the user"}
        exec(line, names)
        del __import__("sys").modules[module].nothing
        assert names[own] == "of the user"


def test_several_statements_are_one_line() -> None:
    assert together(
        ["%xdel _3", "import gc; gc.collect();", "import gc; gc.x", "del a", "del b"]
    ) == ('get_ipython().del_var("_3"); import gc; gc.collect(); gc.x; del a, b')
    assert together(["var.set(None);", "other.set(None);"]) == "var.set(None); other.set(None);"
    both = together(["%xdel _3", "%xdel _4"])
    assert both.startswith("get_ipython().last_execution_result.result = None; ")
    assert together(["del a", ""]) == ""


def test_what_is_shared_is_told_by_every_name_of_those_that_share_it() -> None:
    common = {"kind": "name", "title": "", "line": "", "type": "", "cell": None}
    groups: list[dict[str, object]] = [
        {"key": "Out[12]", "names": ["Out[12]", "A"], **common},
        {"key": "B", "names": ["B"], **common},
        {"key": "Svc.q", "names": [], **common},
    ]
    table = {
        "freed_bytes": [0, 0, 0],
        "enclosing": [-1, -1, -1],
        "detail": [[], [], []],
        "shared": [[[0, 1, 2], 8_000_000]],
        "seen_bytes": 9_000_000,
        "cycles": {"bytes": 0},
        "elsewhere": [],
    }
    (shared,) = holdings(groups, table)
    assert shared.title == "shared by Out[12], A, B, Svc.q: free when all are gone"
    assert shared.key == "Out[12] + B + Svc.q"


def graph(edges: list[tuple[int, int]], roots: list[Root], count: int) -> HeapDump:
    source, target = np.array(edges, dtype="i4").reshape(-1, 2).T
    return HeapDump(
        address=16 * np.arange(1, count + 1, dtype="u8"),
        type=np.zeros(count, dtype="i4"),
        size_bytes=np.full(count, 100, dtype="i8"),
        reference_count=np.full(count, -1, dtype="i4"),
        name=np.full(count, -1, dtype="i4"),
        source=source,
        target=target,
        label=np.zeros(len(source), dtype="i4"),
        texts=["__dict__"],
        type_names=["builtins.object"],
        type_node=np.array([-1], dtype="i4"),
        roots=roots,
    )


def test_an_object_of_two_groups_goes_with_both_and_a_root_goes_with_its_group() -> None:
    # 0 a namespace, 1 the interpreter's table, 2 a thread that both hold, 3 its frame, 4 its local
    roots = [Root("module", "m", 0, ""), Root("module", "t", 1, ""), Root("thread", "T", 3, "")]
    dump = graph([(0, 2), (1, 2), (3, 4)], roots, 5)
    name = {"key": "name", "targets": [48], "sources": [16]}
    thread = {"key": "thread", "targets": [48], "sources": [32]}
    thread |= {"root_kind": "thread", "root_name": "T"}
    assert grouped(dump, [name, thread], []).freed_bytes([name, thread]) == [0, 200]
    assert grouped(dump, [thread], []).freed_bytes([thread]) == [200]
    alone = graph([(1, 2), (3, 4)], roots, 5)
    assert grouped(alone, [thread], []).freed_bytes([thread]) == [300]


def test_what_only_garbage_holds_besides_goes_with_a_line_that_collects() -> None:
    # 0 a namespace, 1 a traceback, 2 a local of its frame; 3 and 4 a cycle that holds the local
    dump = graph([(0, 1), (1, 2), (3, 4), (4, 3), (4, 2)], [Root("module", "m", 0, "")], 5)
    dump.reference_count[3:] = 1
    group = {"key": "traceback", "targets": [32], "sources": [16]}
    found = grouped(dump, [group], [])
    assert found.freed_bytes([group]) == [100]
    assert found.freed_bytes([group | {"collects": True}]) == [200]
    dump.roots.append(Root("module", "n", 3, ""))  # the cycle is held, after all
    assert grouped(dump, [group], []).freed_bytes([group | {"collects": True}]) == [100]


HOLDS_ITSELF = """
import gc, weakref
from leaklab.holders import dump_of_this_process
from leaklab.kernel_audit.attribution import cycles
from leaklab.object_graph.graph import ObjectGraph

class Selfish:
    "Holds itself: the smallest cycle."

gc.collect()
gc.disable()
one = Selfish()
one.own, one.text = one, [str(number) * 9 for number in range(10_000)]
size = sum(map(len, one.text))
left = weakref.ref(one)
del one
found = cycles(ObjectGraph(dump_of_this_process()))
print(left() is not None, found["bytes"] > size)
"""


def test_an_object_that_holds_itself_is_an_uncollected_cycle() -> None:
    assert printed_by(HOLDS_ITSELF) == "True True\n"


HAS_A_THREAD = """
import gc, threading, weakref
from leaklab.holders import dump_of_this_process

class Local:
    pass

begun, stop, kept = threading.Event(), threading.Event(), []

def work():
    local = Local()
    kept.append(weakref.ref(local))
    begun.set()
    stop.wait()

thread = threading.Thread(target=work)
thread.start()
begun.wait()
gc.disable()
dump_of_this_process()
stop.set()
thread.join()
print(kept[0]() is None)
"""


def test_a_dump_keeps_no_frame_of_a_thread() -> None:
    assert printed_by(HAS_A_THREAD) == "True\n"


def test_a_timer_is_named_with_its_function_and_let_go() -> None:
    timer = threading.Timer(100_000, print)
    timer.name = "hourly"
    timer.start()
    lines = {group["key"]: group["line"] for group in inventory(None)["groups"]}
    assert "let_go('thread hourly: print()')" in lines["thread hourly: print()"]
    ll.let_go("thread hourly: print()")
    timer.join()
    with pytest.raises(LeaklabError, match="nothing to let go of: thread hourly"):
        ll.let_go("thread hourly: print()")
