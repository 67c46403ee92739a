"""What other tools are documented to get wrong, as runs made of formulas."""

from __future__ import annotations

import numpy as np
import synthetic as s

from leaklab.verdict.judge import judge

COUNT = 200


def test_a_leak_of_800_mb_hidden_by_freed_churn() -> None:
    # Scalene weighs what a line frees against what it allocates, and reported nothing.
    churn = 40e6 * np.random.default_rng(2).random(COUNT)
    verdict = judge(s.run(sites={"serve": s.leak(COUNT, 4e6) + churn, "work": churn[::-1]}))
    assert verdict.verdict == "leak"
    assert verdict.suspects.iloc[0]["function"] == "serve"


def test_a_hundred_bytes_per_iteration_under_a_sawtooth_of_50_mb() -> None:
    verdict = judge(
        s.run(
            rss=s.high_water(s.sawtooth(300, 50e6, period=25)),
            sites={"keep": s.leak(300, 100), "batch": s.sawtooth(300, 50e6, period=25)},
        )
    )
    assert verdict.verdict == "leak"
    assert verdict.suspects.iloc[0]["function"] == "keep"


def test_a_profile_s_largest_line_is_not_a_leak() -> None:
    # "The top site holds 10 % of what was not freed" is true of every healthy program.
    verdict = judge(
        s.run(sites={"load_table": s.step(COUNT, 80e6, at=3), "work": s.noise(COUNT, 9e4) ** 2})
    )
    assert verdict.verdict == "bounded", verdict.reason


def test_a_bounded_cache_between_two_snapshots_is_not_a_leak() -> None:
    # Two snapshots, or a limit on growth, cannot tell a cache that fills from a leak.
    verdict = judge(s.run(sites={"cache": s.bounded(COUNT, 13e6, full_at=140)}))
    assert verdict.verdict == "bounded", verdict.reason


def test_native_memory_of_a_library_is_named_by_the_line_that_asked_for_it() -> None:
    # tracemalloc sees 6 kB of the 800 kB that one TLS context takes.
    verdict = judge(
        s.run(sites={"stdlib/ssl.py:create_default_context<connect": s.leak(40, 820_000)})
    )
    assert verdict.verdict == "leak"
    assert verdict.suspects.iloc[0]["function"] == "connect"


def test_a_leak_that_is_torn_down_at_the_end_is_seen_while_it_stands() -> None:
    # What a finished main function held is freed before "not freed at exit" is counted.
    held = np.append(s.leak(COUNT, 50_000), [0.0, 0.0])
    assert judge(s.run(sites={"main": held}, marks=False)).verdict == "leak"


def test_a_decelerating_series_is_no_evidence_of_a_leak() -> None:
    # 1203, 1492, 1605 MB was read as a leak; it adds less each time.
    verdict = judge(s.run(rss=s.warm_up(COUNT, 400e6, half_life=20)))
    assert verdict.resource("rss_bytes").verdict == "bounded"
