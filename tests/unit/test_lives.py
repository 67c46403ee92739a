"""Workers that are started anew when they end: judged by age, not by the sawtooth they make."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import synthetic as s

from leaklab.analysis.lives import longest_life, replaced_lives
from leaklab.analysis.long_series import long_series
from leaklab.verdict.judge import judge

STEP_SECONDS = 0.1
MIB = 1024**2


def one_after_another(
    shape: s.Series, *, count: int, every_share: float = 1.0, role: str = "python worker.py"
) -> s.RunData:
    """A recording by time whose worker was started so often, each this share of a life after the
    one before; ends are noticed a little late."""
    lived, late_seconds = len(shape) * STEP_SECONDS, 0.06
    processes: list[dict[str, Any]] = []
    samples, heaps = [], []
    for number in range(count):
        begin = number * lived * every_share
        end = {"started_seconds": begin, "ended_seconds": begin + lived + late_seconds}
        noise = s.noise(len(shape), 20_000, seed=number)
        for process, pass_ in ((number, "measure"), (count + number, "explain")):
            row = {"process": process, "pass": pass_, "role": role, "mark_count": 0}
            processes.append({**row, **end, "traced": pass_ == "explain"})
        rows = s.run(rss=shape + noise, marks=False, seconds_per_point=STEP_SECONDS).samples
        samples.append(rows.assign(process=number, time_seconds=rows["time_seconds"] + begin))
        heap = s.heap_tables(
            {"keep": shape}, process=count + number, marks=False, seconds_per_point=STEP_SECONDS
        )
        times = heap["snapshots"]["time_seconds"] + begin
        heap["snapshots"] = heap["snapshots"].assign(time_seconds=times, exact=True)
        heaps.append(heap)
    tables = {name: pd.concat([one[name] for one in heaps]) for name in ("snapshots", "heap")}
    return s.RunData.from_tables(
        {**s.run(rss=shape).meta, "processes": processes},
        samples=pd.concat(samples, ignore_index=True),
        stacks=heaps[0]["stacks"],
        frames=heaps[0]["frames"],
        **{name: table.reset_index(drop=True) for name, table in tables.items()},
    )


@pytest.mark.parametrize(("points", "count"), [(120, 3), (40, 5), (150, 2)])
def test_a_leaking_worker_that_is_started_anew_leaks(points: int, count: int) -> None:
    rate = 2.0 * MIB
    data = one_after_another(s.leak(points, int(rate * STEP_SECONDS)), count=count)
    verdict = judge(data)
    resident = verdict.resource("rss_bytes", "python worker.py")
    heap = verdict.resource("heap_bytes", "python worker.py")
    assert resident is not None
    assert heap is not None
    assert (resident.verdict, heap.verdict) == ("leak", "leak"), resident.reason
    assert resident.rate == pytest.approx(rate, rel=0.1)
    assert heap.rate == pytest.approx(rate, rel=0.1)
    assert f"by age over {count} lives" in resident.reason
    assert "app.py:10" in heap.reason


def test_a_worker_that_fills_the_same_in_each_life_is_bounded() -> None:
    filled = s.bounded(120, 20 * MIB, full_at=10)
    verdict = judge(one_after_another(filled, count=3))
    assert verdict.verdict == "bounded", verdict.reason
    resident = verdict.resource("rss_bytes", "python worker.py")
    assert resident is not None
    assert "by age over 3 lives" in resident.reason


def test_what_hardly_starts_each_time_is_listed() -> None:
    data = one_after_another(s.leak(8, 200_000), count=3)
    resident = judge(data).resource("rss_bytes", "python worker.py")
    assert resident is not None
    assert resident.reason == "was 3 processes, none there for 1 second: listed, not judged"
    assert not resident.decides


def row(begin: float, end: float | None, **more: Any) -> dict[str, Any]:
    return {"mark_count": 0, "started_seconds": begin, "ended_seconds": end, **more}


def test_lives_are_told_by_time_where_nothing_is_marked() -> None:
    pair = {1: row(0.0, 10.0), 2: row(9.9, None)}
    assert replaced_lives(pair) == [1, 2]
    side_by_side = {1: row(0.0, 10.0), 2: row(5.0, 12.0)}
    assert replaced_lives(side_by_side) == []
    # Two slots, one of them started anew.
    slots = {1: row(0.0, 20.0), 2: row(0.0, 9.0), 3: row(9.1, 20.0)}
    assert replaced_lives(slots) == [1, 2, 3]
    moments = {1: row(0.0, 0.4), 2: row(1.0, 1.4), 3: row(2.0, 9.0, process_count=7)}
    assert replaced_lives(moments) == []
    piled_up = {1: row(0.0, 2.0), **{n: row(2.0 * n, None) for n in range(2, 8)}}
    assert replaced_lives(piled_up) == []


def test_the_longest_traced_life_tells_the_heap() -> None:
    members = {
        1: row(0.0, 10.0, traced=True),
        2: row(10.0, 22.0, traced=True),
        3: row(22.0, 44.0, traced=False),
    }
    assert list(longest_life(members)) == [2]


def test_lives_beside_each_other_grow_each_by_itself() -> None:
    data = one_after_another(s.leak(120, 200_000), count=3, every_share=0.5)
    series = long_series(data, "rss_bytes", role="python worker.py")
    assert series.attrs["without"] == ["by age over 3 lives"]
    assert np.ptp(series["value"]) == pytest.approx(120 * 200_000, rel=0.1)
