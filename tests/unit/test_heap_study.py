"""Sites of the heap: what replaces, passes, warms up and steps, told apart from what leaks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import synthetic as s

from leaklab.store import RunData
from leaklab.verdict.growth import estimate
from leaklab.verdict.heap_study import study_heap
from leaklab.verdict.judge import judge

COUNT = 200


def test_objects_replaced_ever_more_slowly_are_no_leak() -> None:
    # The fewer of the first ones are left, the fewer are replaced by those of another line.
    replaced = s.warm_up(COUNT, 400_000, half_life=90)
    verdict = judge(s.run(sites={"refill": replaced, "load": 400_000 - replaced}))
    assert verdict.verdict == "bounded", verdict.reason


def test_what_was_freed_before_the_leak_does_not_excuse_it() -> None:
    loaded = 300_000 - 3_000 * np.minimum(np.arange(COUNT), 90.0)
    verdict = judge(s.run(sites={"keep": s.leak(COUNT, 2_000), "load": loaded}))
    assert verdict.verdict == "leak", verdict.reason


def test_a_table_that_doubles_late_ends_no_warm_up() -> None:
    x = np.arange(60.0)
    growth = estimate(x, 250 * x + s.step(60, 12_000, at=42))
    assert growth.baseline_x == 0
    # The same step with growth that slows down behind it does.
    bent = np.where(x < 42, 900 * x, 900 * 42 + 90 * (x - 42)) + s.step(60, 12_000, at=42)
    assert estimate(x, bent).baseline_x > 0


@pytest.mark.parametrize(("marks", "expected"), [(60, "inconclusive"), (600, "leak")])
def test_libraries_warm_up_by_more_in_a_short_run(marks: int, expected: str) -> None:
    calls = np.cumsum(400 + s.noise(marks, 120))
    sites = {"call": calls, "modules": s.steady(marks, 4e6)}
    assert judge(s.run(sites=sites)).verdict == expected


def test_a_few_objects_more_or_less_at_each_look_are_no_all_clear() -> None:
    """An even pace is not told from a warm-up of libraries yet, and no more is it one."""
    looks = 24
    kept = np.cumsum(np.tile([2, 3, 2, 4], looks // 4)) * 500.0
    verdict = judge(s.run(sites={"keep": kept, "modules": s.steady(looks, 4e6)}))
    (heap,) = [entry for entry in verdict.resources if entry.name == "heap_bytes"]
    assert (heap.verdict, "what libraries warm up by" in heap.reason) == ("inconclusive", True)
    # By then it has either come to more than that, or is no warm-up any more.
    assert 0 < heap.more_x <= 40_000 / heap.rate


@pytest.mark.parametrize("at", [(2, 9, 10, 17), (1, 2, 3, 4, 5, 6, 7, 9, 11, 14, 20)])
def test_what_code_brings_at_its_first_use_is_a_warm_up(at: tuple[int, ...]) -> None:
    loaded = np.cumsum(np.isin(np.arange(24), at)) * 32_000.0 / len(at)
    sites = {"load": loaded, "modules": s.steady(24, 4e6)}
    assert judge(s.run(sites=sites)).verdict == "bounded"


def test_the_same_amount_each_time_is_no_warm_up() -> None:
    sites = {"call": s.leak(60, 400), "modules": s.steady(60, 4e6)}
    assert judge(s.run(sites=sites)).verdict == "leak"


def test_the_same_growth_in_a_small_heap_counts_at_once() -> None:
    calls = np.cumsum(400 + s.noise(60, 120))
    sites = {"call": calls, "modules": s.steady(60, 500_000)}
    assert judge(s.run(sites=sites)).verdict == "leak"


def one_line(stays: s.Series, passes: s.Series) -> RunData:
    """A run without marks in which one line allocates both, by way of different functions."""
    tables = s.heap_tables(
        {"lib.py:keep<work": stays, "lib.py:scratch<work": passes},
        marks=False,
        seconds_per_point=0.2,
    )
    tables["frames"].loc[tables["frames"]["function"] == "work", "line"] = 10
    meta = s.run(sites={"work": stays}).meta
    return RunData.from_tables(meta, **tables)


def test_what_stays_of_a_line_is_told_from_what_passes_there() -> None:
    passing = 300_000 * (np.random.default_rng(3).random(20) < 0.5)
    verdict = judge(one_line(s.leak(20, 8_000), passing))
    assert verdict.verdict == "leak", verdict.reason
    assert verdict.suspects.iloc[0]["function"] == "work"


def copied_now_and_then(stays: s.Series) -> RunData:
    """A run without marks whose site is seen in the middle of a copy at some snapshots."""
    random = np.random.default_rng(5)
    copies = (random.random(len(stays)) < 0.2) * random.uniform(0.2, 1.0, len(stays)) * stays
    return s.run(sites={"add": stays + copies}, marks=False, seconds_per_point=0.2)


def test_what_is_copied_at_some_snapshots_is_judged_by_what_stays() -> None:
    verdict = judge(copied_now_and_then(50_000 + s.leak(28, 8_000)))
    assert verdict.verdict == "leak", verdict.reason
    assert verdict.suspects.iloc[0]["function"] == "add"


def test_what_is_copied_at_some_snapshots_and_does_not_grow_is_no_leak() -> None:
    steady = 270_000 + s.noise(28, 4_000)
    assert judge(copied_now_and_then(steady)).verdict != "leak"


def test_what_a_weak_table_gains_and_gives_back_is_not_seen_as_events() -> None:
    # As recorded, in kB: the identity map of a session, whose objects die in between.
    live = "203 208 213 224 266 225 223 247 239 300 268 270 272 322 272 305 299 300 298 294 302 352"
    live += " 314 306 310 306 309 315 311"
    step = 1_000.0 * np.array(live.split(), float)
    sites = {"step": step, "modules": s.steady(len(step), 23e6)}
    data = s.run(sites=sites, marks=False, seconds_per_point=0.2)
    assert judge(data).verdict != "leak"


def test_what_one_way_of_allocating_gains_and_another_loses_stays_together() -> None:
    moved = s.leak(20, 8_000)
    noise = 30_000 * (np.random.default_rng(3).random(20) < 0.5)
    assert judge(one_line(moved, 200_000 - moved + noise)).verdict != "leak"


def test_a_rate_that_falls_by_seconds_is_no_levelling_off() -> None:
    slowing = s.warm_up(60, 3e6, half_life=60)
    by_seconds = study_heap(s.run(sites={"keep": slowing}, marks=False, seconds_per_point=0.1))
    by_marks = study_heap(s.run(sites={"keep": slowing}))
    assert by_seconds is not None
    assert by_marks is not None
    assert [entry.leaks for entry in by_seconds.growing] == [True]
    assert [entry.leaks for entry in by_marks.growing] == [False]


def test_a_set_that_doubles_and_doubles_hides_no_growth_between() -> None:
    table = s.step(50, 100_000, at=5) + s.step(50, 400_000, at=40)
    verdict = judge(s.run(sites={"step": 3_000 * np.arange(50.0) + table}, marks=False))
    assert verdict.verdict == "leak", verdict.reason


def test_doubling_alone_is_a_few_steps() -> None:
    table = s.step(50, 100_000, at=5) + s.step(50, 200_000, at=12) + s.step(50, 400_000, at=40)
    assert judge(s.run(sites={"step": table}, marks=False)).verdict != "leak"


def test_unexplained_memory_is_counted_over_its_own_part_of_the_run() -> None:
    # The heap's last change came late; what the tracer does not see grew all along.
    heap = s.step(COUNT, 32, at=170)
    verdict = judge(s.run(rss=s.leak(COUNT, 40_000), sites={"run": heap}))
    assert verdict.verdict == "leak", verdict.reason
    assert "no traced allocation explains it" in verdict.reason


def test_one_large_reservation_explains_no_growth_that_comes_after_it() -> None:
    # An allocator reserves at once and takes page after page.
    heap = s.step(COUNT, 1e9, at=60) + s.leak(COUNT, 20)
    verdict = judge(s.run(rss=s.leak(COUNT, 80_000), sites={"run": heap}))
    resident = verdict.resource("rss_bytes")
    assert resident is not None
    assert resident.verdict == "leak", resident.reason


def test_a_change_of_pace_does_not_make_the_growth_before_it_disappear() -> None:
    # 24 kB a mark, then 16 kB a mark for the last third: that alone is below what counts.
    rss = 24_000 * np.minimum(np.arange(COUNT), 130.0) + 16_000 * np.maximum(
        np.arange(COUNT) - 130.0, 0.0
    )
    verdict = judge(s.run(rss=rss, sites={"run": s.steady(COUNT, 50_000)}))
    resident = verdict.resource("rss_bytes")
    assert resident is not None
    assert resident.last - resident.first < 2 << 20
    assert resident.verdict == "leak", resident.reason


def without_marks(traced_rss: s.Series, *, collected: bool, stopped_by: str | None) -> RunData:
    """A run by time: resident memory grows untraced by 80 kB a point and the heap does not."""
    data = s.run(
        rss=s.leak(COUNT, 80_000),
        traced_rss=traced_rss,
        sites={"run": 5e6 + s.noise(COUNT, 2_000)},
        marks=False,
        seconds_per_point=0.06,  # for longer than a start may take
        meta={"passes": [{"pass": "measure"}, {"pass": "explain", "stopped_by": stopped_by}]},
    )
    snapshots = data.snapshots.assign(exact=True, quiescent=collected)
    tables = {name: getattr(data, name) for name in ("samples", "heap", "stacks", "frames")}
    return RunData.from_tables(data.meta, snapshots=snapshots, **tables)


@pytest.mark.parametrize(
    ("traced_rate", "collected", "stopped_by", "expected"),
    [
        (0, True, None, "bounded"),
        (0, False, None, "leak"),  # nobody collected there either
        (80_000, True, None, "leak"),  # lost behind the tracer's back
        (0, True, "duration", "bounded"),
        (4_000, True, "duration", "leak"),  # a traced program does less in the same time
    ],
)
def test_memory_that_grows_only_where_nobody_collects_is_garbage(
    traced_rate: int, collected: bool, stopped_by: str | None, expected: str
) -> None:
    traced = s.leak(COUNT, traced_rate) + s.noise(COUNT, 3_000)
    data = without_marks(traced, collected=collected, stopped_by=stopped_by)
    resident = judge(data).resource("rss_bytes")
    assert resident is not None
    assert resident.verdict == expected, resident.reason
    assert ("waits for the collector" in resident.reason) == (expected == "bounded")


def test_a_site_whose_growth_the_steady_sum_excludes_took_over_objects() -> None:
    # Ten lines give back a little each, too little to be seen one by one.
    rng = np.random.default_rng(2)
    new = s.leak(COUNT, 500)
    rest = {f"old{k}": 200_000 - new / 10 + rng.normal(0, 4_000, COUNT) for k in range(10)}
    noise = sum(rest.values()) - (2_000_000 - new)
    verdict = judge(s.run(sites={"new": new, **rest, "spare": 500_000 - noise}))
    assert verdict.verdict != "leak", verdict.reason


def test_what_the_start_brings_does_not_blur_a_sum_that_stands_still() -> None:
    new = np.arange(60) * 7_500.0
    start = np.full(60, 90_000.0)
    start[:6] = 0, 99_100, 90_900, 90_300, 90_150, 90_050
    verdict = judge(s.run(sites={"new": new, "old": 800_000 - new, "start": start}))
    assert verdict.verdict == "bounded", verdict.reason


def test_where_the_sum_is_unsteady_the_site_decides() -> None:
    teeth = s.sawtooth(COUNT, 5e6, period=7)
    verdict = judge(s.run(sites={"keep": s.leak(COUNT, 500), "work": teeth}))
    assert verdict.verdict == "leak", verdict.reason


def test_two_snapshots_at_one_place_count_as_one() -> None:
    # As where a second process of a role has not marked yet.
    data = s.run(sites={"keep": s.leak(COUNT, 2_000)})
    snapshots = data.snapshots.copy()
    snapshots.loc[snapshots.index[3], "mark"] = snapshots["mark"].iloc[2]
    tables = {name: getattr(data, name) for name in ("samples", "heap", "stacks", "frames")}
    verdict = judge(RunData.from_tables(data.meta, snapshots=snapshots, **tables))
    assert verdict.verdict == "leak", verdict.reason


def test_lives_of_a_worker_that_is_replaced_are_judged_one_by_one() -> None:
    """What three lives held together is no part of the longest one, and none of it is missing."""
    marks = 100
    lives = [
        s.heap_tables({"keep": s.leak(count, 5_000), "load": s.steady(count, 80_000)}, process=at)
        for at, count in enumerate((marks - 10, marks, marks - 20), 1)
    ]
    entries = []
    for at, life in enumerate(lives):
        life["snapshots"]["time_seconds"] += 10.0 * at
        times = life["snapshots"]["time_seconds"]
        entries.append(
            {"process": at + 1, "pass": "explain", "role": "worker", "mark_count": len(times)}
            | {"started_seconds": 10.0 * at, "ended_seconds": float(times.iloc[-1]) + 1.0}
        )
    tables = {name: pd.concat([life[name] for life in lives]) for name in ("heap", "snapshots")}
    data = RunData.from_tables(
        s.run(meta={"processes": entries}).meta,
        stacks=lives[0]["stacks"],
        frames=lives[0]["frames"],
        **tables,
    )
    study = study_heap(data, role="worker")
    assert study is not None
    assert study.missing_x == 0
    assert study.timeline.total()[-1] == 5_000 * (marks - 1) + 80_000
    verdict = judge(data)
    assert verdict.verdict == "leak", verdict.reason
    heap = verdict.resource("heap_bytes", "worker")
    assert heap is not None
    assert heap.rate == pytest.approx(5_000, rel=0.02)


def test_a_heap_whose_lines_were_lost_is_judged_by_its_total() -> None:
    lost = {"kind": "lines-lost", "process": 1, "pass": "explain", "text": "it profiles itself"}
    # One line is charged with what all allocate, and others give it back.
    sites = {"charged": s.leak(COUNT, 5_000), "given back": 1e6 - s.leak(COUNT, 5_000)}
    healthy = judge(s.run(sites=sites, meta={"events": [lost]}))
    assert (healthy.verdict, len(healthy.suspects)) == ("bounded", 0)
    leaking = judge(s.run(sites={"charged": s.leak(COUNT, 5_000)}, meta={"events": [lost]}))
    assert (leaking.verdict, len(leaking.suspects)) == ("leak", 0)
    assert "charged" not in leaking.reason


@pytest.mark.parametrize(
    ("name", "said"),
    [("malloc_used_bytes", "in use, past the tracer"), ("malloc_free_bytes", "fragmentation")],
)
def test_growth_that_was_not_traced_is_told_by_what_malloc_counts(name: str, said: str) -> None:
    data = s.run(rss=s.leak(COUNT, 80_000), sites={"run": 5e6 + s.noise(COUNT, 2_000)})
    resident = data.samples[data.samples["name"].eq("rss_bytes")]
    counted = resident.assign(name=name, value=resident["value"] / 10 * 9)
    tables = {key: getattr(data, key) for key in ("snapshots", "heap", "stacks", "frames")}
    data = RunData.from_tables(data.meta, samples=pd.concat([data.samples, counted]), **tables)
    reason = judge(data).resource("rss_bytes").reason  # type: ignore[union-attr]
    assert said in reason
