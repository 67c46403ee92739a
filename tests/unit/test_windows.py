"""Tracing for a share of the time: when the windows are, and what they make of what they saw."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import synthetic as s

from leaklab.errors import UsageError
from leaklab.recorder.heap.follower import Place
from leaklab.recorder.heap.stream import HeapSnapshot
from leaklab.recorder.heap.windows import SampledHeap, Windows
from leaklab.recorder.options import RecordOptions
from leaklab.store import RunData
from leaklab.verdict.judge import Verdict, judge


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
def test_windows_take_their_share_of_a_long_run(share: float) -> None:
    windows, traced, now = Windows(share, 0.0), False, 0.0
    traced_seconds = 0.0
    while now < 600:
        now += 0.01
        if traced:
            traced_seconds += 0.01
            if windows.snapshot_due(now):
                windows.looked(now, None)
            traced = not windows.closes(now)
        elif windows.opens(now):
            windows.opened(now)
            traced = True
    assert traced_seconds / now == pytest.approx(share, rel=0.25)
    assert 25 <= len(windows.done) <= 700
    assert all(one.middle_seconds < one.end_seconds for one in windows.done)


def look(stream: object, mark: int, changed: list[tuple[int, int, int]]) -> tuple[Any, Any]:
    place = Place(stream, 0, 1, mark, mark / 10, float(mark), None, True, 0.0)  # type: ignore[arg-type]
    return place, HeapSnapshot(0, 0, 0, True, 0.0, changed)


def test_what_is_replaced_within_half_a_window_does_not_grow() -> None:
    heap, leaking, replaced = SampledHeap(), 1, 2
    for number in range(1, 6):
        stream, middle = object(), 100 * number - 10
        assert heap.take(*look(stream, middle, [(leaking, 500, 5), (replaced, 9_000, 1)])) is None
        grown = heap.take(*look(stream, middle + 10, [(leaking, 1_500, 15)]))
        assert grown is not None
        # A thousand bytes in ten marks stand for the hundred since the window before.
        assert grown.changed == [(leaking, 10_000 * number, 100 * number)]
        assert grown.live_bytes == 10_000 * number


BLOCKS = s.steady(200, 5e4)


def sampled(
    seen: s.Series, counted: s.Series, blocks: s.Series = BLOCKS, **more: s.Series
) -> Verdict:
    data = s.run(
        sites={"keep": seen, **more},
        malloc_used_bytes=5e6 + counted,
        allocated_blocks_count=blocks,
    )
    windows = [{"end_mark": number} for number in range(len(seen))]
    for entry in data.meta["processes"]:
        if entry["pass"] == "explain":
            entry["sampling"] = {"share": 0.1, "windows": windows}
    tables = {
        name: getattr(data, name) for name in ("samples", "snapshots", "heap", "stacks", "frames")
    }
    return judge(RunData.from_tables(data.meta, **tables))


SEEN = np.cumsum([0.0, 30_000, 42_000, 35_000, 29_000, 38_000, 44_000, 31_000, 36_000, 33_000])


def test_growth_is_told_by_the_counters_and_its_line_by_the_windows() -> None:
    verdict = sampled(SEEN, s.leak(200, 40_000))
    assert verdict.verdict == "leak", verdict.reason
    assert "traced in 10 windows" in verdict.reason
    row = verdict.suspects.iloc[0]
    assert (row["function"], row["evidence"]) == ("keep", "grows")
    assert str(row["note"]).startswith("sampled: estimated from 10 windows")
    assert row["rate"] == pytest.approx(SEEN[-1] / 9)
    assert 0 < row["rate_low"] < row["rate"] < row["rate_high"]


def test_growth_in_small_blocks_is_told_for_any_size_of_them() -> None:
    verdict = sampled(SEEN, s.steady(200, 0.0), BLOCKS + s.leak(200, 100))
    heap = verdict.resource("heap_bytes")
    assert heap is not None and heap.verdict == "leak", verdict.reason
    assert heap.rate_low <= 100 * 16 and heap.rate_high >= 100 * 512


def test_a_full_cache_looks_like_growth_to_the_windows_only() -> None:
    verdict = sampled(SEEN, s.noise(200, 500))
    assert verdict.verdict == "bounded", verdict.reason
    assert verdict.suspects.iloc[0]["evidence"] == "stopped"


def test_what_seems_to_grow_by_more_than_the_whole_is_replaced() -> None:
    verdict = sampled(SEEN, s.leak(200, 40_000), replace=4 * SEEN)
    assert verdict.verdict == "leak", verdict.reason
    found = verdict.suspects.set_index("function")["evidence"]
    assert dict(found) == {"keep": "grows", "replace": "stopped"}
    assert "most of it at keep" in verdict.reason


def test_two_windows_tell_no_interval() -> None:
    verdict = sampled(SEEN[:3], s.leak(200, 40_000))
    assert verdict.verdict == "leak"
    assert verdict.suspects.iloc[0]["evidence"] == "undecided"
    assert np.isinf(pd.to_numeric(verdict.suspects.iloc[0]["rate_high"]))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"trace_share": 1.0}, "out of range"),
        ({"passes": ("measure",)}, "no explain pass: passes measure"),
        ({"keep_capture": True}, "keep_capture"),
        ({"until_decided": True}, "until_decided"),
        ({"command": (), "pid": 1}, "a running process: pid 1"),
    ],
)
def test_what_cannot_be_sampled_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        RecordOptions(**{"command": ["x.py"], "trace_share": 0.1, **options})
