"""When a limit is met: peaks above the trend, and an interval that holds the moment."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic as s

import leaklab as ll
from leaklab import cli
from leaklab.verdict.judge import Verdict
from leaklab.verdict.reach import reach
from leaklab.verdict.resources import ResourceVerdict
from leaklab.verdict.time_left import limit_text, limited, soonest, time_left

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import time_left as bench

COUNT = 300
X = np.arange(COUNT, dtype=float)


def test_a_line_reaches_nothing_above_itself() -> None:
    found = reach(X, 5.0 + 2.0 * X, 2.0)
    assert found.trend == 5.0 + 2.0 * (COUNT - 1)
    assert (found.low, found.middle, found.high) == (0.0, 0.0, 0.0)


def test_peaks_are_those_that_come_while_the_trend_gets_there() -> None:
    noise = s.noise(COUNT, 100.0)
    quick, slow = (reach(X, rate * X + noise, rate) for rate in (50.0, 0.5))
    assert quick.low < quick.middle < quick.high
    # The slower the trend, the more peaks come before it, and the higher is the highest.
    assert slow.middle > quick.middle
    assert slow.middle > noise.max() / 2


def test_teeth_come_no_higher_than_they_did() -> None:
    teeth = s.sawtooth(COUNT, 1000.0, period=10)
    found = reach(X, X + teeth, 1.0)
    height = np.ptp(teeth) / 2  # above the median
    assert found.middle == pytest.approx(height, rel=0.25)
    assert found.high < 1.5 * height
    assert found.wait_x >= 8


def test_too_little_says_nothing() -> None:
    assert reach(X[:5], X[:5], 1.0) is None
    assert reach(X, X, 0.0) is None


def test_time_left_is_counted_to_the_peaks() -> None:
    rate = 50_000.0
    y = 50e6 + rate * X + s.noise(COUNT, 1e6)
    said = ll.judge_series(X, y, unit="iteration")
    limit = 50e6 + rate * (COUNT + 400)
    left = time_left(said, limit, "limit")
    # The trend is there after 400 more, the first peak that touches the limit earlier.
    assert left.left_low < left.left < 400
    assert left.left < left.left_high
    without = time_left(ll.judge_series(X, 50e6 + rate * X, unit="iteration"), limit, "limit")
    assert without.left == pytest.approx(401, rel=0.02)


def test_growth_that_becomes_faster_meets_its_limit_sooner() -> None:
    """Each of so many log handlers keeps what is logged: the bytes grow as the square."""

    def held(mark: float) -> float:
        return 13e6 + 130.0 * mark**2

    said = ll.judge_series(X, held(X), unit="iteration")
    assert said.rate == pytest.approx(2 * 130.0 * COUNT, rel=0.1)
    assert said.reason.startswith("grew by 37.")
    assert "faster and faster, lately by 7" in said.reason
    left = time_left(said, held(20.0 * COUNT), "limit")
    assert left.left == pytest.approx(19 * COUNT, rel=0.05)
    assert left.left_low < 19 * COUNT < left.left_high
    steady = ll.judge_series(X, 50e6 + 50_000.0 * X, unit="iteration")
    assert steady.acceleration == 0.0


def test_the_process_that_comes_to_the_limit_first_is_told() -> None:
    slow = ll.judge_series(X, 50e6 + 50_000.0 * X, unit="iteration")
    entries = (
        ll.judge_series(X, np.full(COUNT, 50e6), unit="iteration"),
        replace(slow, role="worker 1"),
        replace(slow, role="worker 2", rate=3 * slow.rate),
    )
    found = limited(Verdict("leak", "", entries, pd.DataFrame()), {"limits": {"memory_bytes": 1e9}})
    assert found is not None
    assert str(time_left(*found)).startswith("rss_bytes of worker 2 reaches")


MEMORY = ll.judge_series(X, 50e6 + 50_000.0 * X, unit="iteration")
DESCRIPTORS = ll.judge_series(X, 4.0 + X, resource="fd_count", unit="iteration")


def row(role: str, **fields: object) -> dict[str, object]:
    return {"pass": "measure", "role": role, **fields}


def verdict_of(*entries: ResourceVerdict) -> Verdict:
    return Verdict("leak", "", entries, pd.DataFrame())


def test_descriptors_may_run_out_before_memory_does() -> None:
    meta = {
        "platform": {"memory_bytes": 24e9},
        "processes": [row("main", descriptor_limit=400)],
    }
    left = soonest(verdict_of(MEMORY, DESCRIPTORS), meta)
    assert str(left).startswith("fd_count reaches 400 fds (RLIMIT_NOFILE) after 98 iterations")
    # The other way round, and in a run of before it was recorded, it is memory.
    for limit in (10**6, None):
        meta["processes"] = [row("main", descriptor_limit=limit)]
        assert soonest(verdict_of(MEMORY, DESCRIPTORS), meta).name == "rss_bytes"


THREADS = ll.judge_series(X, 1.0 + X, resource="thread_count", unit="iteration")


def test_threads_run_out_for_all_processes_together() -> None:
    limit = {"thread_limit": 600, "thread_limit_name": "pids.max"}
    meta = {"processes": [row("main", **limit), row("worker", **limit)]}
    resting = ll.judge_series(X, np.full(COUNT, 100.0), resource="thread_count", unit="iteration")
    left = soonest(verdict_of(THREADS, replace(resting, role="worker")), meta)
    assert (left.limit, left.limit_name, left.held_by_others) == (600.0, "pids.max", 100.0)
    assert str(left).startswith("thread_count reaches 500 threads, what the other roles leave of")
    # Another control group has a limit of its own, of which this one takes nothing.
    meta["processes"][1] = row("worker", **(limit | {"thread_limit": 900}))
    left = soonest(verdict_of(THREADS, replace(resting, role="worker")), meta)
    assert str(left).startswith("thread_count reaches 600 threads (pids.max) after 301 iterations")
    # A child that nobody has asked for its end keeps its place.
    children = ll.judge_series(X, 1.0 + X, resource="child_count", unit="iteration")
    assert str(soonest(verdict_of(children), meta)).startswith("child_count reaches 600 children")


def test_shared_memory_fills_what_there_is_for_it() -> None:
    """A container's has 64 MiB where nobody says otherwise, and the write after them is a kill."""
    filling = ll.judge_series(X, 1e6 * X, resource="shm_bytes", unit="iteration")
    meta = {"processes": [row("main", shared_memory_bytes=640 << 20)]}
    left = soonest(verdict_of(MEMORY, filling), meta)
    assert str(left).startswith("shm_bytes reaches 640 MiB (size of /dev/shm) after ")
    assert left.left == pytest.approx((640 << 20) / 1e6 - COUNT, rel=0.02)


def test_a_process_meets_the_limits_of_its_own_group_not_of_its_recorders() -> None:
    """A service that is attached to or watched lives in a unit or container of its own."""
    meta = {
        "limits": {"cgroup_memory_bytes": 100e9, "address_space_bytes": 200e6},
        "platform": {"memory_bytes": 24e9},
        "processes": [row("main", group_memory_bytes=100_000_000, address_space_bytes=None)],
    }
    left = soonest(verdict_of(MEMORY), meta)
    assert (left.limit, left.limit_name) == (100e6, "limit of the control group")
    meta["processes"] = [row("main", group_memory_bytes=None, address_space_bytes=None)]
    assert soonest(verdict_of(MEMORY), meta).limit_name == "memory of the machine"
    # In a run of before it was recorded that of the recorder is all that is known.
    meta["processes"] = [row("main")]
    assert soonest(verdict_of(MEMORY), meta).limit_name == "RLIMIT_AS"


def test_each_process_has_descriptors_of_its_own() -> None:
    meta = {"processes": [row("worker", descriptor_limit=400)] * 4}
    left = soonest(verdict_of(replace(DESCRIPTORS, role="worker")), meta)
    assert (left.limit, left.limit_name) == (1600.0, "RLIMIT_NOFILE of 4 processes")


def test_what_other_roles_hold_is_taken_off_a_limit_that_all_meet() -> None:
    resting = ll.judge_series(X, np.full(COUNT, 30e6), unit="iteration")
    rows = [
        row("worker", ended_seconds=9.0),
        row("main", ended_seconds=10.0),
        row("starter", ended_seconds=1.0),  # was gone early
    ]
    entries = [replace(one, role=role) for one, role in (
        (MEMORY, "worker"), (resting, "main"), (resting, "starter")
    )]  # fmt: skip
    meta = {"limits": {"memory_bytes": 100e6}, "processes": rows}
    left = soonest(verdict_of(*entries), meta)
    alone = time_left(entries[0], 70e6, "--limit-memory")
    assert left.held_by_others == 30e6
    assert left.left == pytest.approx(alone.left)
    assert "reaches 66.8 MiB, what the other roles leave of 95.4 MiB (--limit-memory)," in str(left)
    # A limit that each process meets for itself leaves it all.
    own = {"limits": {"address_space_bytes": 100e6}, "processes": rows}
    assert soonest(verdict_of(*entries), own).held_by_others == 0.0


def test_a_limit_that_has_ended_the_run_is_not_still_to_come() -> None:
    data = s.run(rss=s.leak(COUNT, 50_000))
    data.meta["limits"] = {"memory_bytes": 170 << 20}
    data.meta["passes"] = [{"pass": "measure", "stopped_by": "limit-memory"}]
    verdict = verdict_of(MEMORY, DESCRIPTORS)
    said = "resident memory has reached 170 MiB (--limit-memory): that ended the measure pass"
    assert limit_text(verdict, data) == said
    assert soonest(verdict, data.meta).left == 0.0
    # What is asked of it later is another question.
    data.meta["limit_asked_bytes"] = 400 << 20
    assert "reaches 400 MiB (--limit) after" in limit_text(verdict, data)


def test_the_interval_holds_the_moment() -> None:
    rows = [row for row in map(bench.crossing, range(15_000_000, 15_000_400)) if row]
    held = sum(row[1] for row in rows)
    assert len(rows) > 100
    # 91.8 % of a thousand; here is room for what chance does to a hundred.
    assert held >= 0.84 * len(rows)


def test_a_limit_asked_of_a_stored_run_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = tmp_path / "figures.csv"
    rows = (f"{60 * k},{50 + k / 10}" for k in range(COUNT))
    figures.write_text("\n".join(("time,rss_mib", *rows)))
    store = str(tmp_path / "store")
    assert cli.main(["import", str(figures), "--limit", "1GiB", "--store", store]) == 0
    run = capsys.readouterr().out.strip()

    for limit in ("100MiB", "2GiB"):
        assert cli.main(["show", run, "--limit", limit]) == 0
        shown = capsys.readouterr().out
        assert f"rss_bytes reaches {limit[:-3]} {limit[-3:]} (--limit) after" in shown
    for names in ((run,), (run, f"{run}/")):
        command = "show" if len(names) == 1 else "compare"
        assert cli.main([command, *names, "--unit", "MiB"]) == 2
        assert "--unit says how a file is read, and this is a stored run" in (
            capsys.readouterr().err
        )
