"""Resident memory explained, and the time that is left."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import synthetic as s

from leaklab.findings.rss import (
    LIVE_EITHER,
    LIVE_NATIVE,
    LIVE_PYTHON,
    MALLOC_FREE,
    REST,
    decomposition,
    kept_by_allocators,
)
from leaklab.report import drawings
from leaklab.results.run import Run
from leaklab.store import RunData
from leaklab.verdict.limits import smallest_limit
from leaklab.verdict.resources import ResourceVerdict
from leaklab.verdict.time_left import time_left

COUNT = 50
MIB = 2**20


def test_the_parts_sum_to_resident_memory_and_unmeasured_ones_are_null() -> None:
    data = s.run(
        rss=s.leak(COUNT, 10_000),
        sites={"keep": s.leak(COUNT, 8_000)},
        malloc_free_bytes=s.steady(COUNT, 2 * MIB),
    )
    parts = decomposition(data).pivot(index="x", columns="part", values="bytes")
    assert parts["free inside pymalloc arenas"].isna().all()
    assert parts[MALLOC_FREE].eq(2 * MIB).all()
    total = parts.sum(axis=1).to_numpy()
    assert total == pytest.approx(50e6 + s.leak(COUNT, 10_000))
    assert parts[REST].iloc[-1] < 50e6
    kept = kept_by_allocators(data)
    assert kept["part"].tolist() == [MALLOC_FREE]
    assert "malloc_trim" in kept["way_back"][0]


def test_without_resident_memory_there_is_nothing_to_explain() -> None:
    assert not len(decomposition(s.run(sites={"keep": s.leak(COUNT, 1)})))


def test_calls_that_allocate_in_both_ways_do_not_change_sides() -> None:
    # memray tells all that such a call holds by one of its blocks, now by this one, now by that.
    grown, as_object = s.leak(COUNT, 10_000), np.arange(COUNT) % 5 == 3
    sites = {"connect": np.where(as_object, 0, grown), "twin": np.where(as_object, grown, 0)}
    data = s.run(rss=s.steady(COUNT, 0), sites=sites | {"keep": s.steady(COUNT, 7_000)})
    calls = data.stacks["frame_ids"].tolist()
    calls[1] = calls[0]
    mixed = RunData.from_tables(
        data.meta,
        samples=data.samples,
        snapshots=data.snapshots,
        heap=data.heap,
        frames=data.frames,
        stacks=data.stacks.assign(
            frame_ids=calls, allocator=["malloc", "pymalloc_malloc", "pymalloc_malloc"]
        ),
    )
    parts = decomposition(mixed).pivot(index="x", columns="part", values="bytes")
    assert parts[LIVE_EITHER].to_numpy() == pytest.approx(grown)
    assert parts[LIVE_PYTHON].to_numpy() == pytest.approx(7_000)
    assert parts[LIVE_NATIVE].to_numpy() == pytest.approx(0)


def test_a_worker_whose_memory_grows_is_told_by_its_own_parts() -> None:
    """Resident memory of a service is its workers': the main process only waits for them."""
    data = s.run(
        rss=s.leak(COUNT, 2 * MIB),
        malloc_used_bytes=s.leak(COUNT, MIB),
        malloc_free_bytes=s.leak(COUNT, MIB),
    )
    main = {**data.meta["processes"][0], "process": 7}
    worker = {**data.meta["processes"][0], "role": "worker"}
    idle = data.samples[data.samples["name"].eq("rss_bytes")].assign(process=7, value=20.0 * MIB)
    run = Run(
        RunData.from_tables(
            {**data.meta, "processes": [main, worker]}, samples=pd.concat([data.samples, idle])
        )
    )
    assert run.resident().attrs["role"] == "worker"
    assert run.resident("main")["bytes"].max() == 20.0 * MIB
    kept = run.kept_free().set_index("role")
    assert kept.loc["worker", "part"] == MALLOC_FREE
    assert "free inside malloc (worker): 49 MiB of resident memory" in str(run)
    title, markup = drawings.resident_set(run)
    assert title == "Where resident memory is (worker)"
    assert "free inside malloc 49 MiB" in markup


def entry(**change: object) -> ResourceVerdict:
    fields: dict[str, object] = {
        "name": "rss_bytes",
        "verdict": "leak",
        "rate": float(MIB),
        "rate_low": 0.5 * MIB,
        "rate_high": 2.0 * MIB,
        "unit": "iteration",
        "first": 50.0 * MIB,
        "last": 100.0 * MIB,
        "first_floor": 50.0 * MIB,
        "last_floor": 100.0 * MIB,
        "why": "",
        "baseline_x": 0.0,
    }
    return ResourceVerdict(**(fields | change))  # type: ignore[arg-type]


def test_time_left_with_its_interval() -> None:
    left = time_left(entry(), 200.0 * MIB, "--limit-memory")
    assert left is not None
    assert (left.left, left.left_low, left.left_high) == (100, 50, 200)
    assert str(left) == (
        "rss_bytes reaches 200 MiB (--limit-memory) after 100 iterations more "
        "(95 %: 50 iterations to 200 iterations)"
    )


def test_no_time_is_given_for_what_does_not_leak_and_none_is_left_beyond_the_limit() -> None:
    assert time_left(entry(verdict="bounded"), 200.0 * MIB, "") is None
    beyond = time_left(entry(rate_low=-1.0), 10.0 * MIB, "")
    assert beyond is not None
    assert (beyond.left, beyond.left_high) == (0, math.inf)
    assert str(replace(beyond, limit_name="--limit")) == (
        "rss_bytes has already reached 10 MiB (--limit)"
    )


def test_the_limit_that_is_met_first_counts() -> None:
    meta = {"limits": {"memory_bytes": 900, "cgroup_memory_bytes": 400}, "platform": {}}
    assert smallest_limit(meta) == (400.0, "limit of the control group")
    assert smallest_limit({"limits": {"memory_bytes": None}}) is None
    asked = {"limits": {"memory_bytes": 900}}
    assert smallest_limit(asked) == (900.0, "--limit-memory")
    assert smallest_limit({**asked, "import": {}}) == (900.0, "--limit")


def test_time_left_starts_from_where_processes_die() -> None:
    left = time_left(entry(peak=150.0 * MIB), 200.0 * MIB, "--limit-memory")
    floor = time_left(entry(), 200.0 * MIB, "--limit-memory")
    assert left is not None
    assert floor is not None
    assert left.left == pytest.approx(50 * MIB / entry().rate)
    assert left.left < floor.left
