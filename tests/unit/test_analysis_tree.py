"""The allocation tree and the difference of two."""

from __future__ import annotations

import numpy as np
import pandas as pd
import synthetic as s

from leaklab.analysis.sites import group_sites
from leaklab.findings.tree import AllocationTree, allocation_tree, difference

COUNT = 60


def test_every_parent_holds_what_its_children_hold() -> None:
    tree = allocation_tree(
        s.run(sites={"a": s.leak(COUNT, 100), "lib.py:f<b": s.steady(COUNT, 5_000)})
    ).nodes
    assert tree["node"].tolist() == list(range(len(tree)))
    assert (tree["parent"] < tree["node"]).all()
    root = tree.iloc[0]
    assert (root["parent"], root["live_bytes"]) == (-1, 100 * (COUNT - 1) + 5_000)
    for node, below in tree[tree["parent"] >= 0].groupby("parent"):
        assert below["live_bytes"].sum() == tree.loc[node, "live_bytes"]
    assert set(tree["function"]) == {"all allocations", "main", "a", "b", "f"}


def test_a_run_without_a_heap_has_only_a_root() -> None:
    nodes = allocation_tree(s.run(rss=s.steady(COUNT))).nodes
    assert nodes["live_bytes"].tolist() == [0]


def test_a_difference_finds_calls_whose_lines_shifted_and_keeps_those_that_are_gone() -> None:
    before = s.run(sites={"keep": s.steady(COUNT, 900), "gone": s.steady(COUNT, 70)})
    tables = s.heap_tables({"keep": s.steady(COUNT, 200)}, line_shift=30)
    after = s.RunData.from_tables(before.meta, **tables)
    nodes = difference(allocation_tree(before), allocation_tree(after)).nodes
    found = nodes.set_index("function")[["live_bytes", "before_bytes"]].to_dict("index")
    assert found["keep"] == {"live_bytes": 200, "before_bytes": 900}
    assert found["gone"] == {"live_bytes": 0, "before_bytes": 70}
    assert found["all allocations"] == {"live_bytes": 200, "before_bytes": 970}


def test_two_lines_of_one_function_are_matched_by_line_first_then_in_order() -> None:
    def tree(lines: dict[int, int]) -> AllocationTree:
        rows = [(0, -1, "all allocations", "", 0, 0)]
        rows += [(n, 0, "run", "app.py", line, b) for n, (line, b) in enumerate(lines.items(), 1)]
        names = ["node", "parent", "function", "file", "line", "live_bytes"]
        nodes = pd.DataFrame(rows, columns=names)
        return AllocationTree(nodes.assign(origin="target", growth_bytes=0, allocation_count=1))

    nodes = difference(tree({40: 1, 42: 2, 50: 3}), tree({42: 20, 44: 30})).nodes
    found = list(zip(nodes["line"], nodes["live_bytes"], nodes["before_bytes"], strict=True))
    assert found[1:] == [(42, 20, 2), (44, 30, 1), (50, 0, 3)]


def test_a_cells_tree_begins_inside_the_magic_over_it() -> None:
    """The magic is a call of the same cell, with IPython and leaklab between the two."""
    grow, parse, runs, magic, shell = range(5)
    frames = pd.DataFrame(
        [
            (grow, "<module>", "In [4]", 5, "target"),
            (parse, "ast_parse", "site-packages/IPython/core/compilerop.py", 9, "site-packages"),
            (runs, "record_cell", "site-packages/leaklab/jupyter/in_kernel.py", 68, "leaklab"),
            (magic, "<module>", "In [4]", 1, "target"),
            (shell, "run_code", "site-packages/IPython/core/shell.py", 7, "site-packages"),
        ],
        columns=["frame_id", "function", "file", "line", "origin"],
    )
    around = [runs, magic, shell]
    stacks = pd.DataFrame(
        {
            "stack_id": [0, 1, 2],
            "allocator": "malloc",
            "frame_ids": [[grow, *around], [parse, *around], [grow, shell]],
        }
    )
    sites = group_sites(stacks, frames, np.arange(3))
    assert [list(sites.rows(stack)) for stack in range(3)] == [[grow], [parse], [grow]]
    assert [sites.frame[site] for site in sites.of_stack] == [grow, parse, grow]
