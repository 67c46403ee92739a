"""What a worker did says what its figures mean: an end without requests is no end of growth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from leaklab.door.by_work import evenly_worked, judged

STEP_SECONDS = 10.0
BUSY = 60


def service(idle: int, *, probes: float = 0.0, rose: float = 0.0, fell: float = 0.0) -> Any:
    """Seconds, resident memory that leaks while requests come, and the requests up to each."""
    random = np.random.default_rng(3)
    count = np.concatenate([random.integers(800, 1200, BUSY), np.full(idle, probes)])
    requests = np.cumsum(count)
    x = STEP_SECONDS * np.arange(BUSY + idle)
    after = np.maximum(np.arange(BUSY + idle) - BUSY + 1, 0)
    y = 5e7 + 4e3 * requests + random.normal(0, 5e4, BUSY + idle) + rose * after
    return x, np.where(after > 3, y - fell, y), requests


def asked(x: Any, requests: Any) -> dict[str, Any]:
    return {"request_count": {"seconds": list(x), "values": list(requests)}}


@pytest.mark.parametrize("probes", [0.0, 1.0], ids=["no requests", "probes alone"])
@pytest.mark.parametrize("idle", [0, 20, 300])
def test_a_leak_stays_one_when_the_traffic_stops(idle: int, probes: float) -> None:
    x, y, requests = service(idle, probes=probes)
    entry, pace = judged("rss_bytes", x, y, asked(x, requests))
    assert (entry.verdict, entry.unit) == ("leak", "request")
    assert entry.rate_low <= 4e3 <= entry.rate_high
    if probes and idle == 300:
        return  # probes are by then what it mostly works at
    assert entry.rate * pace == pytest.approx(4e5, rel=0.1)
    if idle:
        assert "requests since" in entry.reason


def test_without_requests_an_end_without_work_is_said() -> None:
    for idle, said in ((20, "without the idle end"), (300, "hardly worked since")):
        x, y, _ = service(idle)
        cpu = np.cumsum(np.where(np.arange(len(x)) < BUSY, 5.0, 0.01))
        work = {"cpu_seconds": {"seconds": list(x), "values": list(cpu)}}
        entry, _ = judged("rss_bytes", x, y, work)
        assert said in entry.reason
        assert idle == 300 or entry.verdict == "leak"


def test_what_grows_without_requests_waits_for_none() -> None:
    x, y, requests = service(60, rose=4e6)
    entry, pace = judged("rss_bytes", x, y, asked(x, requests))
    assert (entry.verdict, entry.unit, pace) == ("leak", "second", 1.0)


def test_what_is_given_back_once_the_requests_stop_is_no_leak() -> None:
    x, y, requests = service(20, fell=2e8)
    entry, _ = judged("rss_bytes", x, y, asked(x, requests))
    assert entry.verdict == "inconclusive"
    assert "gave back" in entry.reason


def test_a_burst_decides_nothing() -> None:
    x = STEP_SECONDS * np.arange(100)
    requests = np.minimum(np.arange(100), 4) * 1000
    entry, _ = judged("rss_bytes", x, 5e7 + 2e3 * requests, asked(x, requests))
    assert entry.verdict == "inconclusive"
    assert "has only 5 figures from while requests came" in entry.reason


def test_hours_of_next_to_no_work_are_few_points() -> None:
    steady = np.arange(100) * 50.0
    assert len(evenly_worked(steady)) == 100
    quiet = np.concatenate([steady, steady[-1] + np.arange(1, 1000) * 0.01])
    kept = evenly_worked(quiet)
    share = (quiet[-1] - steady[-1]) / quiet[-1]
    assert len(kept) - len(steady) <= 2 * len(quiet) * share + 1
    assert kept[-1] == len(quiet) - 1
