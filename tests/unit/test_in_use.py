"""What allocators count as in use: it grows in room that was free, and resident memory is still."""

from __future__ import annotations

import numpy as np
import pytest
import synthetic as s

from leaklab.analysis.series import resource_series
from leaklab.report import drawings
from leaklab.resources import BLOCK_BYTES, IN_USE, title
from leaklab.results.run import Run
from leaklab.store import RunData
from leaklab.verdict.judge import judge

COUNT = 150
MIB = 2**20
# What a start has left free, which all that follows is put into.
FREE = 75.0 * MIB
LEAK = s.leak(COUNT, 31_000)
STILL = s.steady(COUNT)


def run(used: s.Series, blocks: s.Series = STILL, **more: s.Series) -> RunData:
    """A run whose resident memory stands still, and in which so much is in use."""
    return s.run(
        **{"rss": STILL, **more},
        malloc_used_bytes=2e6 + used,
        malloc_free_bytes=FREE - used,
        allocated_blocks_count=40_000 + blocks,
    )


@pytest.mark.parametrize(
    ("used", "blocks"), [(LEAK, STILL), (STILL, LEAK / BLOCK_BYTES)], ids=["malloc", "blocks"]
)
def test_a_leak_into_room_that_was_free_is_none_the_less_one(
    used: s.Series, blocks: s.Series
) -> None:
    verdict = judge(run(used, blocks))
    assert verdict.verdict == "leak", verdict.reason
    assert verdict.reason.startswith("in_use_bytes grew by 30.3 KiB per iteration")
    assert "resident memory does not show it yet" in verdict.reason
    entry = verdict.resource("rss_bytes")
    assert entry is not None
    assert "what is in use grew by" in entry.reason


def test_where_resident_memory_shows_it_that_leads() -> None:
    verdict = judge(run(LEAK, rss=LEAK))
    assert verdict.reason.startswith("rss_bytes grew by")
    assert verdict.reason.endswith("; in_use_bytes grows too")


@pytest.mark.parametrize(
    ("count", "blocks", "verdict"),
    [
        (150, 2, "bounded"),
        (150, 12, "bounded"),
        (400, 12, "inconclusive"),
        (800, 12, "inconclusive"),
    ],
)
def test_the_interval_holds_what_small_blocks_are_whatever_their_sizes(
    count: int, blocks: int, verdict: str
) -> None:
    still = s.steady(count)
    entry = judge(
        s.run(
            rss=still,
            malloc_used_bytes=2e6 + still,
            allocated_blocks_count=40_000 + s.leak(count, blocks),
        )
    ).resource(IN_USE)
    assert entry is not None
    assert entry.rate_low <= 16 * blocks
    assert min(entry.rate_high, entry.excluded) >= 512 * blocks
    assert entry.verdict == verdict, entry.why


def test_blocks_that_matter_at_the_usual_size_and_not_at_the_smallest_decide_nothing() -> None:
    blocks = s.leak(COUNT, 2.5 * MIB / COUNT / BLOCK_BYTES)
    entry = judge(run(STILL, blocks)).resource(IN_USE)
    assert entry is not None
    assert entry.verdict == "inconclusive", entry.why
    assert "by how large its small blocks are" in entry.reason
    assert "record 149 iterations more" in entry.reason


HEALTHY = {
    "still after a warm-up": s.warm_up(COUNT, 8e6, half_life=8),
    "teeth": s.sawtooth(COUNT, 3e6, period=12),
    "a full cache that is churned": 8e6 + s.noise(COUNT, 40_000),
    "waves": 4e6 * (1 + np.sin(np.arange(COUNT) * 2 * np.pi / 21)),
}


@pytest.mark.parametrize("used", HEALTHY.values(), ids=HEALTHY)
def test_a_healthy_program_stays_bounded(used: s.Series) -> None:
    verdict = judge(run(used))
    assert verdict.verdict == "bounded", verdict.reason
    assert "rss_bytes, in_use_bytes" in verdict.reason


def test_an_allocator_that_keeps_what_was_freed_stays_bounded() -> None:
    used = s.sawtooth(COUNT, 3e6, period=12)
    verdict = judge(run(used, rss=s.high_water(used)))
    assert verdict.verdict == "bounded", verdict.reason


def test_what_may_still_fill_leaves_resident_memory_undecided() -> None:
    # It slows down all the time: a table that fills, or a leak.
    verdict = judge(run(12e6 * (1 - np.exp(-np.arange(COUNT) / 70.0))))
    assert verdict.verdict == "inconclusive", verdict.reason
    entry = verdict.resource("rss_bytes")
    assert entry is not None
    assert entry.verdict == "inconclusive"
    assert "while there is room inside the process; record" in entry.reason


@pytest.mark.parametrize("sites", [STILL + 4e5, LEAK], ids=["bounded", "leak"])
def test_a_traced_heap_decides_instead(sites: s.Series) -> None:
    alone = judge(s.run(rss=STILL, sites={"keep": sites}))
    beside = judge(run(LEAK, sites={"keep": sites}))
    assert beside.resource(IN_USE) is None
    assert (beside.verdict, beside.reason) == (alone.verdict, alone.reason)
    assert beside.resources == alone.resources


def test_it_is_judged_at_marks_only() -> None:
    data = s.run(rss=STILL, malloc_used_bytes=2e6 + LEAK, marks=False)
    assert judge(data).resource(IN_USE) is None


def test_it_is_a_series_that_can_be_shown() -> None:
    data = run(LEAK, LEAK)
    series = resource_series(data, IN_USE)
    assert series["value"].iloc[-1] == 2e6 + LEAK[-1] + BLOCK_BYTES * (40_000 + LEAK[-1])
    shown = Run(data)
    assert shown.series(IN_USE)["value"].tolist() == series["value"].tolist()
    assert drawings.growth([shown], IN_USE, "main")
    assert title(IN_USE) == "memory in use by allocators"


def test_blocks_are_judged_where_malloc_cannot_be_asked() -> None:
    verdict = judge(s.run(rss=STILL, allocated_blocks_count=40_000 + LEAK / BLOCK_BYTES))
    assert verdict.verdict == "leak", verdict.reason
