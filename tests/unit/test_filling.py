"""Growth inside a container with a bound is inconclusive until it is full, and only there."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
import synthetic as s

from leaklab.findings.filling import settled
from leaklab.findings.retention import retention
from leaklab.results.run import Run
from leaklab.verdict.judge import judge

COUNT = 200
DUMPS = (60, 130, 200)


def run(
    held: tuple[int, ...], bound: int, rate: int = 20_000, other: int = 0, owners: int = 1
) -> Run:
    """A leak of ``rate`` bytes per mark that hangs in a container, and another one elsewhere."""
    sites = {"fill": s.leak(COUNT, rate)}
    if other:
        sites["keep"] = s.leak(COUNT, other)
    data = s.run(rss=s.leak(COUNT, rate + other), sites=sites)
    paths: list[dict[str, Any]] = []
    for dump, mark in enumerate(DUMPS):
        rows = [("app", "module", 1, 100, "app"), ("app.cache", "Cache", owners, 100, "a")]
        rows += [
            ("app.cache.data", "dict", owners, 100, "b"),
            ("app.cache.data → dict value → Page", "Page", mark, mark * rate, "c"),
        ]
        for node, (path, kind, count, size, print_) in enumerate(rows):
            paths.append(
                {
                    "process": 1, "dump": dump, "tree": "path", "node": node, "parent": node - 1,
                    "kind": "module", "step": "", "type": kind, "path": path,
                    "fingerprint": print_, "count": count, "shallow_bytes": size,
                    "retained_bytes": mark * rate,
                }
            )  # fmt: skip
    graphs = pd.DataFrame(
        {
            "pass": "explain", "process": 1, "dump": range(3), "mark": DUMPS,
            "time_seconds": [0.01 * mark for mark in DUMPS], "state": "complete",
        }
    )  # fmt: skip
    bounds = pd.DataFrame(
        {
            "process": 1, "dump": range(3), "path": "app.cache", "type": "Cache",
            "attribute": "data", "count": owners, "bound_count": bound, "held_count": held,
        }
    )  # fmt: skip
    tables = {"graph_dumps": graphs, "paths": pd.DataFrame(paths), "bounds": bounds}
    kept = {name: data.table(name) for name in ("samples", "snapshots", "heap", "stacks", "frames")}
    return Run(s.RunData.from_tables(data.meta, **kept, **tables))


def test_below_the_bound_the_run_is_inconclusive_and_says_how_much_longer() -> None:
    verdict = run(DUMPS, 1_000).verdict()
    heap, resident = verdict.resource("heap_bytes"), verdict.resource("rss_bytes")
    assert heap is not None and resident is not None
    assert verdict.verdict == heap.verdict == resident.verdict == "inconclusive"
    assert "inside app.cache.data (Cache), which holds 200 of 1,000 at most" in heap.reason
    assert heap.more_x == 800 and "record 800 iterations more" in heap.reason


def test_what_is_full_or_does_not_fill_explains_nothing() -> None:
    assert run(DUMPS, 200).verdict().verdict == "leak"
    assert run((200, 200, 200), 1_000).verdict().verdict == "leak"


def test_a_leak_beside_it_is_still_a_leak() -> None:
    assert run(DUMPS, 1_000, other=20_000).verdict().verdict == "leak"


@pytest.mark.parametrize(
    ("other", "bound", "verdict"),
    [(0, 1_000, "inconclusive"), (0, 200, "leak"), (20_000, 1_000, "leak")],
)
def test_a_container_is_known_also_where_its_entries_are_no_group_of_their_own(
    other: int, bound: int, verdict: str
) -> None:
    """What comes and goes in frames between two dumps hides many small entries."""
    data = run(DUMPS, bound, other=other).data
    nothing = retention(data).iloc[:0]
    found = settled(data, judge(data), nothing).resource("heap_bytes")
    assert found is not None
    assert found.verdict == verdict, found.reason
    if verdict == "inconclusive":
        assert "inside app.cache.data (Cache), which holds 200 of 1,000 at most" in found.reason
        assert found.more_x == pytest.approx(800)


def test_without_graphs_nothing_changes() -> None:
    data = s.run(rss=s.leak(COUNT, 1_000), sites={"fill": s.leak(COUNT, 1_000)})
    assert Run(data).verdict().verdict == "leak"
