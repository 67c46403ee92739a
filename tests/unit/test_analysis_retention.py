"""Leak groups from tables of path nodes, and the sites that allocate them."""

import numpy as np
import pandas as pd
import pytest
import synthetic

from leaklab.findings.retention import COLUMNS, holders_of_type, retention
from leaklab.object_graph.paths import KEPT_BYTES
from leaklab.present.bundle import comparison_bundle
from leaklab.present.site_text import retention_lines
from leaklab.present.text import comparison_text
from leaklab.results.compared_holders import COLUMNS as HOLDER_COLUMNS
from leaklab.results.comparison import compare
from leaklab.results.run import Run
from leaklab.store import RunData
from leaklab.verdict.heap_study import study_heap

NODES = [
    # path, parent, kind, type, first count, per mark, bytes of one
    ("app.cache", -1, "module", "module", 1, 0, 72),
    ("app.cache.CACHE", 0, "module", "dict", 1, 0, 0),
    ("app.cache.CACHE → dict value → app.Page", 1, "module", "app.Page", 10, 2, 400),
    ("app.cache.CACHE → dict value → app.Page.body", 2, "module", "bytes", 10, 2, 600),
    ("app.cache.CACHE → dict key → str", 1, "module", "str", 10, 2, 60),
    ("app.cache.settings", 0, "module", "dict", 1, 0, 300),
    ("unreachable cycle: app.Node", -1, "cycle", "app.Node", 10, 1, 50),
]


def step_of(path):
    if path.endswith("]"):
        return path[path.rindex("[") :]
    container = path.split(" → ")[-2:][0].split(" ")
    return container[1] if len(container) == 2 else path.rpartition(".")[2]


def run_of(data, marks=(10, 40, 70, 100), nodes=NODES, pass_="explain", work_ended_seconds=None):
    """``data`` with object graphs at ``marks``, or between them where the end of work is told."""
    rows = []
    for dump, mark in enumerate(marks):
        for number, (path, parent, kind, type_, count, per_mark, size) in enumerate(nodes):
            count = (count(dump) if callable(count) else count) + per_mark * mark
            if not count:
                continue
            size = size(mark) if callable(size) else size
            rows.append(
                {
                    "process": 0,
                    "dump": dump,
                    "tree": "path",
                    "node": number,
                    "parent": parent,
                    "kind": kind,
                    "step": step_of(path),
                    "type": type_,
                    "path": path,
                    "fingerprint": f"print of {path}",
                    "count": count,
                    "shallow_bytes": count * size,
                    "retained_bytes": count * (1000 if type_ == "app.Page" else size),
                }
            )
    dumps = pd.DataFrame(
        {
            "pass": pass_,
            "process": 0,
            "dump": range(len(marks)),
            "mark": marks if work_ended_seconds is None else None,
            "time_seconds": [mark / 10 for mark in marks],
            "state": "complete",
        }
    )
    process = {"process": 0, "pass": pass_, "role": "main", "mark_count": marks[-1]}
    process["work_ended_seconds"] = work_ended_seconds
    processes = [*data.meta["processes"], process]
    tables = {
        name: data.table(name) for name in ("samples", "snapshots", "heap", "stacks", "frames")
    }
    return RunData.from_tables(
        {**data.meta, "processes": processes}, **tables, graph_dumps=dumps, paths=pd.DataFrame(rows)
    )


def test_holders_are_compared_by_where_objects_pile_up(tmp_path):
    """A cache that is emptied now, one that grows as before, and a holder that came."""
    fixed = [(*node[:5], 0, node[6]) for node in NODES]
    before, after = (run_of(synthetic.run(), nodes=nodes) for nodes in (NODES, fixed))
    rows = compare(before, after).holders
    assert list(rows.columns) == list(HOLDER_COLUMNS)
    (row,) = rows.to_dict("records")
    assert (row["accumulation_point"], row["outcome"]) == ("app.cache.CACHE", "fixed")
    assert (row["before_rate"], row["after_rate"]) == (120 * 1060 / 60, 0.0)
    assert set(compare(before, before).holders["outcome"]) == {"unchanged"}
    assert set(compare(after, before).holders["outcome"]) == {"worse"}
    assert not len(compare(after, after).holders)
    shown = "app.cache.CACHE (dict) holds app.Page"
    assert f"  holders, per iteration\n  fixed: {shown}  2.07 KiB to 0 B" in comparison_text(
        compare(before, after)
    )
    assert shown in comparison_bundle(compare(before, after))["text/html"]
    # Without a second graph nothing tells that it is gone.
    once = run_of(synthetic.run(), marks=(100,), nodes=fixed)
    found = compare(before, once)
    assert set(found.holders["outcome"]) == {"not measured"}
    assert "to 0 B" not in comparison_text(found)


def test_a_few_objects_that_wait_for_the_collector_are_no_worse():
    """Of a heap that holds nothing else any more; many of them are."""
    still = [(*node[:5], 0, node[6]) for node in NODES]
    for size, outcomes in ((100, set()), (1_000, {"worse"})):
        waiting = [*still[:-1], (*NODES[-1][:6], size)]
        before, after = (run_of(synthetic.run(), nodes=nodes) for nodes in (still, waiting))
        assert set(compare(before, after).holders["outcome"]) == outcomes


def test_a_holder_that_gains_without_piling_up_is_told_by_what_it_gained():
    """A cache that is cut back now and then: less than before, not nothing."""
    held = {10: 0, 40: 1_000, 70: 9_000, 100: 7_000}
    cut = [(*node[:5], 0, node[6]) for node in NODES]
    cut[1] = (*cut[1][:6], held.get)
    runs = run_of(synthetic.run()), run_of(synthetic.run(), nodes=cut)
    (row,) = compare(*runs).holders.to_dict("records")
    assert (row["after_rate"], row["outcome"]) == (6_000 / 60, "improved")


def test_the_group_is_told_once_with_its_accumulation_point():
    rows = retention(run_of(synthetic.run()))
    assert list(rows.columns) == list(COLUMNS)
    assert len(rows) == 1
    row = rows.iloc[0]
    assert row["path"] == "app.cache.CACHE → dict value → app.Page"
    assert row["accumulation_point"] == row["holder"] == "app.cache.CACHE"
    assert row["holder_type"] == "dict"
    assert row["unit"] == "iteration"
    # The dump at mark 10 is warm-up: growth from 40 to 100.
    assert row["growth_count"] == 120
    assert row["growth_bytes"] == 120 * 1060
    assert row["rate"] == pytest.approx(2 * 1060)
    assert row["suspect_rank"] is None or pd.isna(row["suspect_rank"])


def test_fields_that_became_the_entries_of_a_table_have_not_come_from_nothing():
    """While there are few each is a path node of its own; what was too small is in the table's."""
    pages = {0: 10, 1: 40, 2: 70, 3: 100}

    def table(size, told):
        held = [("app.CACHE", -1, "module", "dict", 1, 0, 0)]
        for name in range(told):
            field = (f"app.CACHE[{name}]", 0, "module", "bytes", lambda at: int(at < 2), 0, size)
            held += [field]
        entry = "app.CACHE → dict value → bytes"
        held += [(entry, 0, "module", "bytes", lambda at: pages[at] * (at > 1), 0, size)]
        return run_of(synthetic.run(), nodes=held)

    def with_table_retaining(data, size):
        paths = data.paths.copy()
        is_table = paths["path"] == "app.CACHE"
        paths.loc[is_table, "retained_bytes"] = paths["dump"].map(pages)[is_table] * size
        return RunData.from_tables(data.meta, graph_dumps=data.graph_dumps, paths=paths)

    for size, told in ((2_000, 40), (600, 0), (600, 7)):
        (row,) = retention(with_table_retaining(table(size, told), size)).to_dict("records")
        assert (row["growth_count"], row["growth_bytes"]) == (60, 60 * size), told


def test_objects_of_classes_that_each_call_makes_are_counted_once():
    """Their path nodes cannot be told apart: a node of its own for each, all of one fingerprint."""
    pile = ("app.HANDLERS → list item → tuple", 0, "module", "tuple", 10, 1, 60)
    kept = ("app.HANDLERS → list item → tuple → app.Handler", 1, "module", "app.Handler")
    rows = ("app.HANDLERS → list item → tuple → app.Handler.rows", "module", "list")
    nodes = [("app.HANDLERS", -1, "module", "list", 1, 0, 0), pile]
    for call in range(30):
        # Each is there from one mark on, with a list that is filled.
        nodes.append((*kept, lambda dump, call=call: call < 10 * (dump + 1) - 5, 0, 50))
        nodes.append((rows[0], len(nodes) - 1, *rows[1:], nodes[-1][4], 0, 400))
    (row,) = retention(run_of(synthetic.run(), nodes=nodes)).to_dict("records")
    # From mark 40 to 100: 60 tuples, and 15 of the objects with their lists.
    assert (row["growth_count"], row["growth_bytes"]) == (60, 60 * 60 + 15 * (50 + 400))
    shown = holders_of_type(run_of(synthetic.run(), nodes=nodes), "app.Handler")
    assert shown[["count", "growth_count"]].to_numpy().tolist() == [[30, 15]]


def test_the_beginning_of_a_run_is_not_shown_as_its_end():
    data = run_of(synthetic.run(), (3, 7, 14))
    assert len(retention(data)) == 1
    data.meta["processes"][-1]["mark_count"] = 1000
    assert len(retention(data)) == 0


def test_what_is_gone_when_the_program_is_through_is_what_held_it():
    """A program whose state is in the variables of ``main()`` leaves garbage, or nothing at all."""
    at_work, garbage = [10, 60, 0].__getitem__, [0, 0, 99].__getitem__
    nodes = [
        ("thread MainThread: main() → local seen", -1, "thread", "list", 1, 0, 0),
        ("local seen → list item → app.Row", 0, "thread", "app.Row", at_work, 0, 400),
        ("unreachable cycle: app.Row", -1, "cycle", "app.Row", garbage, 0, 400),
    ]
    held = retention(run_of(synthetic.run(), (40, 70, 100), nodes, work_ended_seconds=9.9))
    assert list(held["accumulation_point"]) == ["thread MainThread: main() → local seen"]
    assert held["growth_count"][0] == 50
    # Of two graphs the second is needed.
    left = retention(run_of(synthetic.run(), (40, 100), nodes, work_ended_seconds=9.9))
    assert list(left["growth_count"]) == [50]


def test_holders_from_before_the_growth_began_are_not_told():
    """A program that is loaded for most of a run, and leaks once it works."""
    loading = np.minimum(np.arange(300), 150) * 2120.0
    late = np.maximum(np.arange(300) - 150, 0) * 50_000.0
    data = synthetic.run(sites={"load": loading, "keep": late})
    (leaking,) = study_heap(data).leaking
    assert leaking.growth.x[0] > 140
    assert len(retention(run_of(data, (40, 100)))) == 0
    # In graphs from its time they are; also where those are too few and its lines made the group.
    assert len(retention(run_of(data, (160, 220, 290)))) == 1
    early = synthetic.run(sites={"keep": np.maximum(np.arange(300) - 150, 0) * 2120.0})
    assert len(retention(run_of(early, (100, 290)))) == 1


def test_where_loading_took_the_work_the_graph_after_it_tells_of_the_growth():
    loading = np.minimum(np.arange(300), 150) * 2120.0
    late = np.maximum(np.arange(300) - 150, 0) * 2120.0
    data = synthetic.run(sites={"load": loading, "keep": late}, marks=False, seconds_per_point=0.1)
    held = retention(run_of(data, (100, 140, 290), work_ended_seconds=28.9))
    assert held["accumulation_point"].tolist() == ["app.cache.CACHE"]
    assert held["suspect_rank"].tolist() == [1]


def test_a_site_that_gains_the_same_is_the_one():
    data = synthetic.run(
        sites={"keep": synthetic.leak(100, 2120), "other": synthetic.leak(100, 300)}
    )
    row = retention(run_of(data)).iloc[0]
    assert row["suspect_rank"] == 1
    assert row["confidence"] == "high"
    assert "they gain the same" in row["evidence"]


def test_two_sites_make_one_group():
    data = synthetic.run(
        sites={"make_page": synthetic.leak(100, 920), "read_body": synthetic.leak(100, 1200)}
    )
    row = retention(run_of(data)).iloc[0]
    assert sorted(row["suspect_ranks"]) == [1, 2]
    assert row["confidence"] == "medium"


def test_a_site_that_no_object_explains_is_a_guess():
    data = synthetic.run(sites={"native": synthetic.leak(100, 900_000)})
    row = retention(run_of(data)).iloc[0]
    assert row["suspect_ranks"] == [1]
    assert row["confidence"] == "low"


def imported(nodes, dump):
    """Return ``nodes`` as objects that are there from the dump with this number on."""
    return [
        (*node[:4], lambda at, count=node[4]: count * (at >= dump), *node[5:]) for node in nodes
    ]


IMPORTED = [
    ("pandas", -1, "module", "module", 1, 0, 72),
    ("pandas.DataFrame", 0, "module", "type", 1, 0, 40_000),
    ("pandas.DataFrame → function", 1, "module", "function", 300, 0, 160),
]
HALF_IMPORTED = [("pandas", -1, "module", "module", 1, 0, 72), *imported(IMPORTED[1:], 2)]


@pytest.mark.parametrize("nodes", [imported(IMPORTED, 2), HALF_IMPORTED, imported(IMPORTED, 3)])
def test_what_an_import_brings_is_no_growth(nodes):
    assert not len(retention(run_of(synthetic.run(), nodes=nodes)))


def test_what_grows_in_a_module_that_was_imported_late_does():
    late = [(*node[:5], 0, node[6]) for node in NODES[:2]]
    nodes = [
        *imported(late, 2),
        # 30 pages at the dump at mark 70, 90 at mark 100.
        (NODES[2][0], 1, "module", "app.Page", lambda at: [0, 0, 30, 90][at], 0, 400),
    ]
    (row,) = retention(run_of(synthetic.run(), nodes=nodes)).to_dict("records")
    assert (row["accumulation_point"], row["growth_count"]) == ("app.cache.CACHE", 60)


def test_what_has_stopped_is_not_told():
    nodes = [(*NODES[2][:1], -1, "module", "app.Page", lambda at: min(at, 2) * 50, 0, 400)]
    assert not len(retention(run_of(synthetic.run(), nodes=nodes)))


def test_one_object_more_is_told_only_where_nothing_piles_up():
    """However large it is: the run was long enough for a pile to have got more than one."""
    once = ("app.MODEL", -1, "module", "bytes", lambda dump: 2 + (dump > 2), 0, 900_000)
    rows = retention(run_of(synthetic.run(), nodes=[*NODES, once]))
    assert rows["accumulation_point"].tolist() == ["app.cache.CACHE"]
    assert retention(run_of(synthetic.run(), nodes=[once]))["growth_count"].tolist() == [1]


def test_what_piles_up_below_one_object_more_is_the_pile():
    """A call that was under way at the last graph alone, or a second client beside the first."""
    nodes = [
        (
            "thread Main: list_iterator",
            -1,
            "thread",
            "list_iterator",
            lambda at: int(at > 2),
            0,
            72,
        ),
        ("thread Main: list_iterator.rows", 0, "thread", "list", lambda at: int(at > 2), 0, 56),
        (
            "thread Main: list_iterator.rows → list item → app.Row",
            1,
            "thread",
            "app.Row",
            lambda dump: 900 * (dump > 2),
            0,
            100,
        ),
    ]
    (row,) = retention(run_of(synthetic.run(), nodes=nodes)).to_dict("records")
    assert row["accumulation_point"] == "thread Main: list_iterator.rows"
    assert (row["growth_count"], row["growth_bytes"]) == (900, 90_000 + 56)


def test_what_a_weak_container_lists_is_kept_by_others():
    """It is told of where it is most of what there is, and after what keeps something."""
    tasks = [
        ("task Job.run()", -1, "task", "_asyncio.Task", 10, 1, 400),
        ("_asyncio._all_tasks", -1, "module", "_weakrefset.WeakSet", 1, 0, 56),
        ("_asyncio._all_tasks.data", 1, "module", "set", 1, 0, 216),
        (
            "_asyncio._all_tasks.data → set item → weakref.ReferenceType",
            2,
            "module",
            "weakref.ReferenceType",
            10,
            1,
            72,
        ),
    ]
    found = retention(run_of(synthetic.run(), nodes=tasks))["accumulation_point"].tolist()
    assert found == ["task Job.run()"]
    # Those of a list are the list's: nothing takes the dead ones out.
    tasks[1] = (*tasks[1][:3], "app.Listeners", *tasks[1][4:])
    assert len(retention(run_of(synthetic.run(), nodes=tasks))) == 2


def test_threads_that_pile_up_are_one_row_not_one_a_function_they_are_in():
    def frames(function, count, size_bytes):
        path = f"thread device-#: {function}()"
        return path, -1, "thread", "frame", lambda dump: count * dump, 0, size_bytes

    nodes = [
        frames("Thread.run", 50, 100),
        frames("Session.run", 50, 400),
        frames("Queue.get", 50, 200),
        # Not of those threads, or not of them alone.
        frames("Mailer.run", 20, 300),
        ("thread main: serve() → local jobs", -1, "thread", "app.Job", lambda at: 50 * at, 0, 90),
    ]
    found = retention(run_of(synthetic.run(), nodes=nodes))["path"].tolist()
    assert found == [
        "thread device-#: Session.run()",
        "thread device-#: Mailer.run()",
        "thread main: serve() → local jobs",
    ]


def test_what_grows_in_place_is_no_number_of_objects():
    log = ("app.LOG", -1, "module", "bytearray", 1, 0, lambda mark: 5_000 * mark)
    data = run_of(synthetic.run(sites={"f": synthetic.leak(100, 5_000)}), nodes=[log])
    assert "app.LOG (bytearray) has become larger, " in "\n".join(retention_lines(Run(data)))


@pytest.mark.parametrize("calls", [("look",), ("scan", "look")])
def test_a_container_that_a_call_leads_to_at_one_look_is_that_of_who_keeps_it(calls):
    """Its rows know what they are in: a variable of the call leads there in fewer steps."""
    rows = {0: 30, 1: 120, 2: 210, 3: 300}

    def reached(first, kind, dumps):
        return [
            (first, kind, "app.Store", lambda dump: int(dump in dumps), 56),
            (f"{first}.rows", kind, "list", lambda dump: int(dump in dumps), 56),
            (
                f"{first}.rows → list item → app.Row",
                kind,
                "app.Row",
                lambda dump: rows[dump] * (dump in dumps),
                100,
            ),
        ]

    ways = [("app.store", "module", range(4 - len(calls)))]
    for number, call in enumerate(calls, 4 - len(calls)):
        ways.append((f"thread Main: {call}() → local row.store", "thread", [number]))
    nodes = []
    for way in ways:
        for step, (path, kind, type_, count, size) in enumerate(reached(*way)):
            nodes.append((path, len(nodes) - 1 if step else -1, kind, type_, count, 0, size))
    (row,) = retention(run_of(synthetic.run(), nodes=nodes)).to_dict("records")
    assert row["accumulation_point"] == "app.store.rows"
    assert row["path"] == "app.store.rows → list item → app.Row"
    assert row["fingerprint"] == "print of app.store.rows → list item → app.Row"
    assert (row["growth_count"], row["growth_bytes"]) == (180, 18_000)


def test_two_containers_of_one_kind_are_not_taken_for_one():
    """A call's own, that is there beside what was kept all along, has a path of its own."""
    kept = [
        ("app.store", -1, "module", "app.Store", 1, 0, 56),
        ("app.store.rows", 0, "module", "list", 1, 0, 56),
        ("app.store.rows → list item → app.Row", 1, "module", "app.Row", 50, 0, 100),
    ]
    local = "thread Main: look() → local row.store"
    own = []
    for path, parent, _, type_, count, _, size in kept:
        place = (path.replace("app.store", local), parent + 3 if parent >= 0 else -1, "thread")
        own += [(*place, type_, lambda dump, count=count: count * (dump > 2), 0, size)]
    (row,) = retention(run_of(synthetic.run(), nodes=[*kept, *own])).to_dict("records")
    assert row["accumulation_point"].startswith("thread Main: look()")


def test_nothing_grows_nothing_is_told():
    still = [(*node[:5], 0, node[6]) for node in NODES]
    assert not len(retention(run_of(synthetic.run(), nodes=still)))


def test_one_dump_tells_no_growth_but_holders():
    data = run_of(synthetic.run(), marks=(50,))
    assert not len(retention(data))
    rows = holders_of_type(data, "Page")
    assert rows["holder"].tolist() == ["app.cache.CACHE"]
    assert rows["rate"].tolist() == [None]
    assert holders_of_type(run_of(synthetic.run()), "Page")["rate"].tolist() == [2000.0]
    assert not len(holders_of_type(synthetic.run(), "Page"))


def test_growth_in_place_is_its_own_holder():
    log = ("app.LOG", 0, "module", "bytearray", 1, 0, lambda mark: 500 * mark)
    data = run_of(synthetic.run(), marks=(20, 60, 100), nodes=[NODES[0], log])
    row = retention(data).iloc[0]
    assert row["path"] == row["holder"] == "app.LOG"
    assert row["growth_count"] == 0
    assert row["growth_bytes"] == 40_000


def test_each_role_has_its_groups():
    data = run_of(synthetic.run())
    worker = [{**entry, "role": "fork of main"} for entry in data.meta["processes"]]
    forked = RunData.from_tables(
        {**data.meta, "processes": worker}, graph_dumps=data.graph_dumps, paths=data.paths
    )
    assert retention(forked)["role"].tolist() == ["fork of main"]
    assert not len(retention(forked, role="main"))


@pytest.mark.parametrize(("size", "is_told"), [(KEPT_BYTES + 260, False), (9000, True)])
def test_single_objects_that_the_first_graph_was_too_coarse_for_are_no_growth(size, is_told):
    nodes = [
        ("lib", -1, "module", "module", 1, 0, 72),
        *(
            (f"lib.{name}", 0, "module", "classmethod", lambda dump: int(dump > 0), 0, size)
            for name in ("read", "write", "seek")
        ),
    ]
    found = retention(run_of(synthetic.run(), marks=(70, 100), nodes=nodes))
    assert (found["path"].tolist() == ["lib.read"]) == is_told


def test_garbage_in_cycles_is_one_group_whatever_it_is_made_of():
    cycles = [
        ("unreachable cycle: app.Node", -1, "cycle", "app.Node", 10, 2, 500),
        ("unreachable cycle: dict", -1, "cycle", "dict", 10, 2, 300),
        ("unreachable cycle: dict → dict value → bytes", 1, "cycle", "bytes", 10, 2, 200),
    ]
    data = synthetic.run(sites={"dropped": synthetic.leak(100, 2000)})
    (row,) = retention(run_of(data, nodes=cycles)).to_dict("records")
    assert row["path"] == "unreachable cycle: app.Node"
    assert row["rate"] == pytest.approx(2 * 1000)
    assert row["suspect_ranks"] == [1]
    assert row["confidence"] == "high"


def test_the_lines_of_a_site_are_read_from_the_run():
    log = ("app.cache.LOG", 0, "module", "list", 1, 0, 56)
    entry = ("app.cache.LOG → list item → app.Entry", 5, "module", "app.Entry", 10, 2, 350)
    nodes = [*NODES[:5], log, entry]
    # Both lines are called from the target's only one, and so is one that nothing in Python holds.
    data = synthetic.run(
        sites={
            "lib.py:read": synthetic.leak(100, 1200),
            "lib.py:note": synthetic.leak(100, 700),
            "lib.py:native": synthetic.leak(100, 90_000),
        }
    )
    rows = retention(run_of(data, nodes=nodes)).set_index("holder")
    assert rows.loc["app.cache.CACHE", "suspect_ranks"] == [1]
    assert "1,200 of 91,900" in rows.loc["app.cache.CACHE", "evidence"]
    assert rows.loc["app.cache.LOG", "suspect_ranks"] == [1]
    assert "700 of 91,900" in rows.loc["app.cache.LOG", "evidence"]
