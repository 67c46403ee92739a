"""A run's figures as DataFrames: changes filled in, warm-up told, columns that survive a CSV."""

import dataclasses
import inspect
import io

import numpy as np
import pandas as pd
import pytest
import synthetic as s

import leaklab as ll
from leaklab.recorder.keywords import RecordKeywords
from leaklab.recorder.options import RecordOptions
from leaklab.results.run import Run

COUNT = 200


@pytest.fixture(scope="module")
def run() -> Run:
    sites = {"keep": s.leak(COUNT, 20_000), "lib.py:parse<load": s.steady(COUNT, 50_000)}
    return Run(s.run(rss=s.leak(COUNT, 20_000), fd_count=s.steady(COUNT, 5), sites=sites))


def test_series_tells_the_warm_up(run: Run) -> None:
    frame = run.series("rss_bytes")
    assert frame.attrs["unit"] == "iteration"
    assert len(frame) == COUNT
    assert not frame["warm_up"].iloc[-1]
    assert frame["warm_up"].is_monotonic_decreasing
    with pytest.raises(ll.UsageError, match="not measured in this run: tasks; allowed: rss_bytes"):
        run.series("tasks")


def test_samples_wide_has_a_column_for_each_resource(run: Run) -> None:
    wide = run.samples(wide=True)
    assert wide.index.name == "mark"
    assert {"time_seconds", "rss_bytes", "heap_bytes", "fd_count"} <= set(wide)
    assert len(run.samples()) >= 2 * COUNT


@pytest.mark.parametrize("by", ["function", "line", "package", "stack", "thread"])
def test_heap_is_filled_in_and_adds_up(run: Run, by: str) -> None:
    heap = run.heap(by=by)
    total = heap.groupby("x")["live_bytes"].sum()
    known = run.series("heap_bytes").set_index("x")["value"]
    assert len(total) == len(known)
    assert np.allclose(total.to_numpy(), known.to_numpy(), rtol=0.01)
    assert heap.groupby(list(heap.columns[:-4])).size().nunique() == 1  # every snapshot
    first = run.heap(by=by, limit=1)
    assert len(first) == len(known)
    assert first["live_bytes"].iloc[-1] == heap["live_bytes"].max()
    again = pd.read_csv(io.StringIO(heap.to_csv(index=False)))
    assert list(again.columns) == list(heap.columns)


def test_heap_by_thread_names_what_each_thread_runs() -> None:
    started = "<stdlib/threading.py:run<stdlib/threading.py:_bootstrap"
    sites = {
        "keep": s.leak(COUNT, 20_000),
        f"app.py:fetch<app.py:work{started}": s.leak(COUNT, 10_000),
        f"app.py:store<app.py:work{started}": s.steady(COUNT, 50_000),
    }
    heap = Run(s.run(sites=sites)).heap(by="thread")
    last = heap[heap["x"] == heap["x"].max()].set_index("thread")["live_bytes"]
    assert list(last.index) == ["main", "work (app.py)"]
    assert last["work (app.py)"] == pytest.approx(10_000 * COUNT + 50_000, rel=0.01)


def test_heap_refuses_another_grouping_and_a_run_without_one(run: Run) -> None:
    with pytest.raises(ll.UsageError, match="no such grouping: file; allowed: function, line"):
        run.heap(by="file")
    assert not len(Run(s.run(rss=s.leak(COUNT, 1000))).heap())


def test_suspects_and_verdict_as_rows(run: Run) -> None:
    suspects = run.suspects()
    assert suspects["package"].iloc[0] == "target"
    assert "source" in suspects
    rows = run.suspects(stacks="rows")
    assert set(rows[rows["depth"] == 0]["function"]) == set(suspects["function"])
    assert not [name for name in rows if hasattr(pd.DataFrame, name)]
    assert pd.read_csv(io.StringIO(rows.to_csv(index=False))).equals(
        rows.astype({"source": float})  # nothing was kept of these lines
    )
    with pytest.raises(ll.UsageError, match="no such form of stacks: columns; allowed: lists"):
        run.suspects(stacks="columns")
    frame = run.verdict().frame().set_index("resource")
    assert frame.loc["heap_bytes", "verdict"] == "leak"
    assert frame.loc["fd_count", "rate"] == 0
    assert "\n" not in repr(run)
    assert len(repr(run)) < 200


def test_there_is_no_graph_where_none_was_taken(run: Run) -> None:
    with pytest.raises(ll.UsageError, match="no object graph in this run"):
        run.graph()


def test_the_options_of_record_are_spelled_out() -> None:
    fields = {field.name for field in dataclasses.fields(RecordOptions)}
    own = {"command", "name", "variant", "store", "fingerprint", "recorded_from"}
    assert set(RecordKeywords.__annotations__) == fields - own
    assert {"passes", "until_decided", "fresh"} <= set(inspect.signature(ll.record).parameters)
