"""Heap leaks of the catalogue, recorded: one row says where allocated, by what kept, how fast.

One variant for each kind of holder; ``make bench-detection`` holds all of them against what their
cases declare.
"""

import pytest
from recorded import shared_store

from leaklab.catalogue.expectations import kept_row
from leaklab.catalogue.expressions import evaluate
from leaklab.catalogue.model import case

LEAKS = [
    ("unbounded-cache", "before"),  # dict of the module
    ("size-estimator", "before"),  # attribute of an object of the module
    ("dependency-caches", "method_cached_for_ever"),  # functools.lru_cache
    ("dependency-caches", "logger_names"),  # class attribute in the standard library
    ("timers", "pending"),  # local of a running thread
    ("cleanup-task-shutdown", "before"),  # asyncio task
    ("fetchall-rows", "before"),  # local of the running function
    ("file-handles", "cycle_gc_off"),  # nobody: garbage that waits for the collector
]


@pytest.mark.parametrize(("name", "variant"), LEAKS)
def test_the_row_of_a_heap_leak_says_what_its_case_declares(
    name: str, variant: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    leaking = case(name)
    if (reason := leaking.missing()) is not None:
        pytest.skip(reason)
    run = leaking.record(variant, quick=True, store=shared_store(tmp_path_factory))
    expected = leaking.variant(variant).expectation
    assert expected.holder is not None
    kept = kept_row(expected.holder, run)
    assert kept is not None, run.retention()["path"].tolist()
    assert expected.suspect is None or expected.suspect in kept.functions
    assert kept.unit == "iteration"
    heap = expected.resources.get("heap_bytes")
    if heap is None or heap.rate is None:
        assert kept.rate > 0
    else:
        # What is kept by other holders beside this one is on other rows.
        assert kept.rate == pytest.approx(evaluate(heap.rate, run.meta["parameters"]), rel=0.3)
    shown = [row["retained_by"] for row in run.to_json()["suspects"]]
    assert any(kept.path in paths for paths in shown)
