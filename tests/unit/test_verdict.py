"""The verdict on whole runs made of formulas, one test for each thing it must tell apart."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import synthetic as s

from leaklab.verdict.evidence import UNDECIDED, Evidence
from leaklab.verdict.growth import estimate
from leaklab.verdict.judge import _of_run, judge
from leaklab.verdict.judge_series import judge_series
from leaklab.verdict.resources import INCONCLUSIVE, ResourceVerdict, why_text

COUNT = 200


def test_a_leak_is_named_with_its_line_and_rate() -> None:
    verdict = judge(
        s.run(
            rss=s.leak(COUNT, 20_000) + s.noise(COUNT, 80_000),
            sites={
                "keep": s.leak(COUNT, 20_000),
                "json.py:loads<parse": s.sawtooth(COUNT, 5e5, period=7),
            },
        )
    )
    assert verdict.verdict == "leak"
    assert "keep (app.py:10)" in verdict.reason
    heap = verdict.resource("heap_bytes")
    assert heap.rate == pytest.approx(20_000, rel=0.01)
    assert verdict.resource("rss_bytes").rate == pytest.approx(20_000, rel=0.15)
    assert verdict.suspects.iloc[0]["function"] == "keep"
    assert verdict.suspects.iloc[0]["share"] == pytest.approx(1.0)


def test_the_pace_of_a_heap_that_grows_faster_and_faster_is_that_of_its_line() -> None:
    verdict = judge(s.run(sites={"log": 60.0 * np.arange(COUNT) ** 2, "keep": s.leak(COUNT, 100)}))
    heap, site = verdict.resource("heap_bytes"), verdict.suspects.iloc[0]
    assert "faster and faster, lately by" in heap.reason
    assert heap.rate == pytest.approx(120 * COUNT, rel=0.1)
    assert heap.rate == pytest.approx(site["rate"], rel=0.1)


def test_a_kilobyte_leak_under_half_a_megabyte_of_churn() -> None:
    churn = 500_000 * np.random.default_rng(1).random(COUNT)
    verdict = judge(s.run(sites={"keep": s.leak(COUNT, 1000, start=1000), "work": churn}))
    assert verdict.verdict == "leak"
    assert verdict.resource("heap_bytes").rate == pytest.approx(1000, rel=0.01)
    assert verdict.suspects.iloc[0]["function"] == "keep"


def test_healthy_runs_are_bounded() -> None:
    verdict = judge(
        s.run(
            rss=s.high_water(s.noise(COUNT, 300_000, autocorrelation=0.9)),
            sites={
                "cache": s.bounded(COUNT, 2e6, full_at=120),
                "work": np.abs(s.noise(COUNT, 50_000)),
                "load": s.step(COUNT, 1e6, at=90),
            },
            fd_count=s.steady(COUNT, 7),
        )
    )
    assert verdict.verdict == "bounded", verdict.reason
    assert {entry.verdict for entry in verdict.resources} == {"bounded"}


def test_first_and_last_are_what_was_measured_and_what_is_worked_out_has_floors() -> None:
    counted = judge_series(range(1000), range(1, 1001), resource="gauge:cursors")
    assert (counted.first, counted.last) == (1, 1000)
    assert counted.first_floor == 1
    assert counted.last_floor < 1000

    # A peak at the very end is what was measured last, and nothing grew by it.
    peak = np.full(300, 50e6)
    peak[-1] = 500e6
    flat = judge_series(range(300), peak, resource="rss_bytes")
    assert (flat.verdict, flat.last, flat.last_floor) == ("bounded", 500e6, 50e6)


def test_descriptors_alone_are_a_leak() -> None:
    verdict = judge(s.run(sites={"work": s.steady(COUNT, 1e6)}, fd_count=s.leak(COUNT, 1, start=5)))
    assert verdict.verdict == "leak"
    assert verdict.resource("fd_count").rate == 1.0
    assert verdict.resource("heap_bytes").verdict == "bounded"


def test_a_gauge_is_judged_but_decides_nothing() -> None:
    verdict = judge(s.run(sites={"work": s.steady(COUNT, 1e6)}, gauge__served=s.leak(COUNT, 1)))
    assert verdict.resource("gauge:served").verdict == "leak"
    assert verdict.verdict == "bounded"


def test_resident_growth_that_no_traced_allocation_explains_is_a_leak_of_its_own() -> None:
    verdict = judge(
        s.run(
            rss=s.leak(COUNT, 40_000) + s.noise(COUNT, 60_000),
            sites={"work": s.steady(COUNT, 1e6)},
        )
    )
    assert verdict.verdict == "leak"
    assert "no traced allocation explains it" in verdict.resource("rss_bytes").reason
    assert verdict.resource("heap_bytes").verdict == "bounded"


def test_fragmentation_of_a_megabyte_is_no_leak_when_the_heap_is_bounded() -> None:
    verdict = judge(
        s.run(
            rss=s.leak(COUNT, 7_000) + s.noise(COUNT, 60_000),
            sites={"work": s.steady(COUNT, 1e6)},
        )
    )
    assert verdict.verdict == "bounded"
    assert "heap, which is exact, is bounded" in verdict.resource("rss_bytes").reason


def test_heap_growth_that_resident_memory_does_not_show_yet_is_a_leak() -> None:
    verdict = judge(
        s.run(rss=s.noise(COUNT, 60_000), sites={"keep": s.leak(COUNT, 1_000, start=1e5)})
    )
    assert verdict.verdict == "leak"
    assert "does not show yet" in verdict.resource("rss_bytes").reason


def test_growth_too_small_to_matter_is_reported_but_raises_no_alarm() -> None:
    verdict = judge(s.run(sites={"keep": s.leak(COUNT, 2), "work": s.steady(COUNT, 1e6)}))
    assert verdict.verdict == "bounded"
    assert verdict.suspects.iloc[0]["function"] == "keep"


def test_objects_that_move_from_one_line_to_another_are_no_leak() -> None:
    new = s.leak(COUNT, 2_000)
    verdict = judge(s.run(sites={"old": 400_000 - new, "new": new}))
    assert verdict.verdict == "bounded", verdict.reason


def test_a_shrinking_cache_does_not_hide_a_leak() -> None:
    verdict = judge(s.run(sites={"old": 90_000 - s.leak(COUNT, 300), "keep": s.leak(COUNT, 2_000)}))
    assert verdict.verdict == "leak"


def test_a_known_cache_is_shown_and_raises_no_alarm_below_its_ceiling() -> None:
    sites = {"stdlib/re/__init__.py:_compile<search": s.leak(COUNT, 3_000)}
    verdict = judge(s.run(sites=sites))
    assert verdict.verdict == "bounded"
    assert "regular expressions" in verdict.suspects.iloc[0]["known"]
    verdict = judge(s.run(sites={name: 100 * values for name, values in sites.items()}))
    assert verdict.verdict == "leak"


def test_few_marks_are_inconclusive_and_say_how_many_are_missing() -> None:
    verdict = judge(s.run(sites={"keep": s.leak(8, 1e6)}))
    assert verdict.verdict == "inconclusive"
    assert "record 5 iterations more" in verdict.reason


def test_an_empty_run_is_inconclusive() -> None:
    verdict = judge(s.run())
    assert (verdict.verdict, verdict.reason) == (
        "inconclusive",
        "nothing was measured; record the run again",
    )


def test_a_target_too_short_to_be_looked_at_is_not_to_be_recorded_the_same_way_again() -> None:
    data = s.run()
    data.meta["passes"] = [{"pass": "measure", "duration_seconds": 0.004}]
    assert judge(data).reason == (
        "nothing was measured: the target ended after 0.004 seconds, before it was looked at; let "
        "it run longer"
    )


def test_the_explain_pass_is_advised_only_where_there_is_python_to_trace() -> None:
    data = s.run(rss_bytes=s.steady(100, 1e8))
    assert "the explain pass would judge" in judge(data).reason
    data.meta["events"] = [{"kind": "skipped", "pass": "explain", "text": "no Python"}]
    assert "explain" not in judge(data).reason


def test_snapshots_that_end_early_do_not_judge_the_rest() -> None:
    data = s.run(sites={"keep": s.bounded(100, 1e6, full_at=100)})
    data.meta["processes"][1]["mark_count"] = 300
    verdict = judge(data)
    assert verdict.verdict == "inconclusive"
    assert "200 iterations are missing" in verdict.reason


def test_without_marks_the_end_of_the_target_is_not_taken_for_a_drop() -> None:
    kept = np.append(s.leak(COUNT, 5_000, start=1e6), [4e5, 1e5])
    verdict = judge(s.run(sites={"keep": kept}, marks=False))
    assert verdict.verdict == "leak"
    assert verdict.resource("heap_bytes").unit == "second"


def test_workers_are_judged_apart_from_their_parent() -> None:
    data = s.run(rss=s.noise(COUNT, 1_000), sites={"main": s.steady(COUNT, 1e6)})
    for number, pass_ in ((2, "measure"), (3, "explain")):
        data.meta["processes"].append(
            {"process": number, "pass": pass_, "role": "fork of main", "ended_seconds": None}
        )
    worker = s.run(rss=s.leak(COUNT, 50_000), sites={"keep": s.leak(COUNT, 50_000)})
    tables = {}
    for name in ("samples", "snapshots", "heap"):
        other = getattr(worker, name).copy()
        other["process"] += 2
        if name == "heap":
            other["stack_id"] += 100
        tables[name] = pd.concat([getattr(data, name), other], ignore_index=True)
    stacks, frames = worker.stacks.copy(), worker.frames.copy()
    stacks["stack_id"] += 100
    frames["frame_id"] += 100
    stacks["frame_ids"] = [[frame + 100 for frame in ids] for ids in stacks["frame_ids"]]
    tables["stacks"] = pd.concat([data.stacks, stacks], ignore_index=True)
    tables["frames"] = pd.concat([data.frames, frames], ignore_index=True)
    verdict = judge(s.RunData.from_tables(data.meta, **tables))
    assert verdict.resource("rss_bytes").verdict == "bounded"
    assert verdict.resource("rss_bytes", "fork of main").verdict == "leak"
    assert verdict.resource("heap_bytes", "fork of main").verdict == "leak"
    assert verdict.suspects.iloc[0]["function"] == "keep"
    assert verdict.suspects.iloc[0]["role"] == "fork of main"


def test_an_ordinary_run_is_judged_within_half_a_second() -> None:
    rng = np.random.default_rng(0)
    sites = {f"site{n}": rng.integers(1000, 9000, COUNT).astype(float) for n in range(300)}
    data = s.run(rss=s.noise(COUNT, 1e5), sites=sites | {"keep": s.leak(COUNT, 3_000)})
    judge(data)  # imports and first loads
    begin = time.process_time()
    verdict = judge(data)
    assert time.process_time() - begin < 0.5
    assert verdict.suspects.iloc[0]["function"] == "keep"


@pytest.mark.parametrize("begin", [180, 185, 190])
def test_a_rise_at_the_very_end_is_not_called_bounded(begin: int) -> None:
    """The lowest figure of a part of the run does not show it, and a bound would deny it."""
    rise = np.maximum(np.arange(COUNT) - begin, 0)
    entry = judge_series(np.arange(COUNT), 8 + rise, resource="fd_count")
    assert entry.verdict == "inconclusive"
    assert entry.more_x > 0
    heap = judge(s.run(sites={"keep": rise * 50_000.0}, marks=False)).resource("heap_bytes")
    assert heap.verdict == "inconclusive"
    assert "a rise at its very end would explain, too late to see whether more comes" in heap.reason


def test_what_has_been_as_high_before_or_comes_for_a_look_is_no_rise_at_the_end() -> None:
    at = np.arange(COUNT)
    before = np.where((at > 100) & (at < 112), 30, 0)
    for last in (10, 2):
        y = 8 + (before if last > 2 else 0) + np.where(at >= COUNT - last, 14, 0)
        assert judge_series(at, y, resource="fd_count").verdict == "bounded"


@pytest.mark.parametrize(
    ("rate", "said"), [(2048.0, "grew by 2 KiB"), (-2048.0, "changed by -2 KiB")]
)
def test_nothing_grows_by_less_than_nothing(rate: float, said: str) -> None:
    x = np.arange(50.0)
    growth = estimate(x, 1e6 + rate * x, unit="iteration")
    doubtful = Evidence(UNDECIDED, "doubtful", shape="a step")
    assert why_text("rss_bytes", growth, doubtful).startswith(f"{said} per iteration (95 %: ")


def test_a_run_that_is_undecided_is_told_by_what_takes_longest_to_decide() -> None:
    why = {"fd_count": ("moved", 2.0), "thread_count": ("wandered", 9.0), "rss_bytes": ("hid", 5.0)}
    undecided = [
        ResourceVerdict(name, INCONCLUSIVE, 0, 0, 0, "second", 0, 1, 0, 1, text, 0, more_x=more)
        for name, (text, more) in why.items()
    ]
    told = (INCONCLUSIVE, "thread_count wandered; record 9 seconds more")
    assert _of_run(tuple(undecided), "") == told
    # Units of work and seconds cannot be held against one another.
    by_marks = replace(undecided[0], unit="iteration")
    assert _of_run((by_marks, *undecided[1:]), "")[1] == "fd_count moved; record 2 iterations more"
