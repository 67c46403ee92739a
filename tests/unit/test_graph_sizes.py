"""Retained sizes agree with what freeing the holder frees; dominators agree with a plain search."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from interpreters import REPOSITORY, every_version, interpreter_or_skip

from leaklab.object_graph.dominators import immediate_dominators, retained_bytes
from leaklab.object_graph.file import read_dump
from leaklab.object_graph.graph import HeapDump, ObjectGraph, Root
from leaklab.object_graph.paths import path_texts, path_tree
from leaklab.recorder.graph import wait_dump

SCENE = Path(REPOSITORY) / "tests" / "targets" / "graph_sizes.py"


@every_version
def test_retained_sizes_are_what_freeing_frees(version, tmp_path):
    python = interpreter_or_skip(version)
    dump = tmp_path / "graph.dump"
    done = subprocess.run(
        [python, str(SCENE), str(REPOSITORY), str(dump)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    said = json.loads(done.stdout)
    wait_dump(dump, said["pid"], 30)
    graph = ObjectGraph(read_dump(dump))
    retained = retained_bytes(graph, immediate_dominators(graph))
    for name, address in said["addresses"].items():
        place = int(np.searchsorted(graph.dump.address, address))
        assert retained[place] == pytest.approx(said["freed_bytes"][name], rel=0.02), name


def graph_of(count, edges, roots):
    source = np.array([one for one, _ in edges], dtype="i4")
    target = np.array([other for _, other in edges], dtype="i4")
    return ObjectGraph(
        HeapDump(
            address=np.arange(count, dtype="u8") * 16,
            type=np.zeros(count, dtype="i4"),
            size_bytes=np.arange(1, count + 1, dtype="i8"),
            reference_count=np.full(count, -1, dtype="i8"),
            name=np.full(count, -1, dtype="i4"),
            source=source,
            target=target,
            label=np.zeros(len(edges), dtype="i4"),
            texts=["", "__dict__", "value"],
            type_names=["thing"],
            type_node=np.array([-1]),
            roots=[Root("module", f"m{node}", node, "") for node in roots],
        )
    )


def reachable(count, edges, roots, without):
    after = {}
    for one, other in edges:
        after.setdefault(one, []).append(other)
    seen, todo = set(), [node for node in roots if node != without]
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo += [other for other in after.get(node, ()) if other != without]
    return seen


@pytest.mark.parametrize("seed", range(12))
def test_retained_is_what_becomes_unreachable(seed):
    random = np.random.default_rng(seed)
    count = 700
    edges = [(node // 2, node) for node in range(1, count) if random.random() < 0.9]
    extra = random.integers(0, count, size=(int(random.integers(1, 300)), 2)).tolist()
    edges += [(one, other) for one, other in extra if one != other]
    roots = [0, *random.integers(1, count, size=2).tolist()]
    graph = graph_of(count, edges, roots)
    retained = retained_bytes(graph, immediate_dominators(graph))
    everything = reachable(count, edges, roots, None)
    for node in random.choice(sorted(everything), size=40, replace=False).tolist():
        lost = everything - reachable(count, edges, roots, node)
        assert retained[node] == sum(one + 1 for one in lost)


def test_a_long_chain_is_no_trouble():
    count = 60_000
    graph = graph_of(count, [(node, node + 1) for node in range(count - 1)], [0])
    retained = retained_bytes(graph, immediate_dominators(graph))
    assert retained[0] == count * (count + 1) // 2


def test_what_an_exit_function_has_as_default_is_named_by_the_module_it_belongs_to():
    graph = graph_of(3, [(0, 2), (1, 2)], [])
    roots = [Root("atexit", "", 0, ""), Root("module", "logging", 1, "")]
    graph = ObjectGraph(replace(graph.dump, roots=roots))
    assert [graph.roots[number].kind for number in graph.root[:2]] == ["atexit", "module"]
    assert graph.parent[2] == 1


def test_a_word_in_a_c_structure_holds_only_what_nobody_else_accounts_for():
    # From object 1, which the collector tracks: to what a module holds (2), to what is held by
    # somebody unknown (3, which holds 4), and to a cycle that holds itself (5 and 6).
    edges = [(0, 1), (0, 2), (3, 4), (5, 6), (6, 5), (1, 2), (1, 3), (1, 5)]
    graph = graph_of(7, edges, [0])
    dump = replace(
        graph.dump,
        label=np.array([0] * 5 + [3] * 3, dtype="i4"),
        texts=[*graph.dump.texts, "native field of io.Buffer"],
        reference_count=np.ones(7, dtype="i8"),
    )
    graph = ObjectGraph(dump)
    assert graph.parent[[2, 3, 4]].tolist() == [0, 1, 3]
    assert {root.node: root.kind for root in graph.roots} == {0: "module", 5: "cycle"}
    retained = retained_bytes(graph, immediate_dominators(graph))
    assert retained[1] == 2 + 4 + 5
    # What the collector does not track cannot tell what it holds: all of it is believed.
    untracked = np.where(np.arange(7) == 1, -1, 1)
    assert ObjectGraph(replace(dump, reference_count=untracked)).parent[5] == 1


@pytest.mark.parametrize(("count", "path"), [(40, "m0 → thing value → thing C7"), (41, None)])
def test_classes_that_a_call_makes_are_one_path_however_they_are_called(count, path):
    # A dict of so many classes, each with an attribute of its own.
    edges = [(0, 1 + place) for place in range(count)]
    edges += [(1 + place, 1 + count + place) for place in range(count)]
    dump = graph_of(2 * count + 1, edges, [0]).dump
    texts = [*dump.texts, ".fields", *(f"C{place}" for place in range(count))]
    name = np.full(2 * count + 1, -1, dtype="i4")
    name[1 : count + 1] = 4 + np.arange(count)
    label = np.repeat(np.array([2, 3], dtype="i4"), count)
    tree = path_tree(ObjectGraph(replace(dump, texts=texts, name=name, label=label)))
    shown = path_texts(tree, np.arange(len(tree.parent)))
    paths = {text.path: int(tree.count[node]) for node, text in shown.items()}
    if path is not None:
        assert paths[path] == paths[f"{path}.fields"] == 1
    else:
        above = "m0 → thing value → thing"
        assert paths == {"m0": 1, above: count, f"{above}.fields": count}


@pytest.mark.parametrize("step", ["list_iterator", "itertools.islice", "method", "list"])
def test_what_a_call_goes_through_is_held_by_who_keeps_it(step):
    """However much longer the way there is: the call ends, and its iterator with it."""
    # A module keeps the list three steps away; the call has no more than its place in it.
    kept = [(0, 2), (2, 3), (3, 4), (4, 5)]
    graph = graph_of(7, [*kept, (1, 6), (6, 4)], [0])
    dump = replace(
        graph.dump,
        type=np.array([0, 1, 0, 0, 2, 0, 3], dtype="i4"),
        type_names=["thing", "frame", "list", step],
        type_node=np.full(4, -1),
        roots=[*graph.dump.roots, Root("thread", "MainThread", 1, "scan")],
    )
    graph = ObjectGraph(dump)
    assert graph.parent[[4, 5]].tolist() == [3, 4]
    # What nothing else leads to is the call's all the same.
    without = [edge for edge in range(len(dump.source)) if edge != 2]
    alone = {name: getattr(dump, name)[without] for name in ("source", "target", "label")}
    assert ObjectGraph(replace(dump, **alone)).parent[[6, 4, 5]].tolist() == [1, 6, 4]


def test_a_variable_of_a_call_keeps_what_it_is_set_to():
    graph = graph_of(5, [(0, 2), (2, 3), (3, 4), (1, 4)], [0])
    dump = replace(
        graph.dump,
        type=np.array([0, 1, 0, 0, 2], dtype="i4"),
        type_names=["thing", "frame", "list"],
        type_node=np.full(3, -1),
        texts=[*graph.dump.texts, "local orders"],
        label=np.array([0, 0, 0, 3], dtype="i4"),
        roots=[*graph.dump.roots, Root("thread", "MainThread", 1, "main")],
    )
    assert ObjectGraph(dump).parent[4] == 1


def test_what_a_pile_of_tasks_shares_is_told_by_its_owner():
    """Every waiting task leads to the set that keeps them; that does not hang on one of them."""
    edges = [(task, 4) for task in (0, 1, 2)] + [(3, 5), (5, 4)] + [(4, task) for task in (0, 1, 2)]
    edges += [(task, task + 6) for task in (0, 1, 2)]
    names = ["job-1", "job-2", "job-3", "main()"]
    roots = [Root("task", name, node, "") for node, name in enumerate(names)]
    tree = path_tree(ObjectGraph(replace(graph_of(9, edges, [3]).dump, roots=roots)))
    told = path_texts(tree, np.arange(len(tree.parent)))
    paths = [told[int(node)].path.partition(" → ")[0] for node in tree.node_of]
    assert paths == ["task job-#"] * 3 + ["task main()"] * 3 + ["task job-#"] * 3


def test_a_context_is_told_with_the_task_that_runs_in_it():
    """Of tasks that pile up it is a part, and no pile of its own beside them."""
    graph = graph_of(4, [(0, 1), (1, 2)], [])
    roots = [Root("context", "", node, "") for node in (1, 3)] + [Root("task", "job()", 0, "")]
    graph = ObjectGraph(replace(graph.dump, roots=roots))
    assert graph.parent.tolist() == [-1, 0, 1, -1]
    assert graph.roots[graph.root[3]].kind == "context"
