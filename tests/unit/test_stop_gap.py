"""Settings that keep a leaking service alive: the arithmetic, and where they do not help."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from leaklab.findings.stop_gap import stop_gaps
from leaklab.verdict.judge_series import judge_series
from leaklab.verdict.limits import together_count

MIB = float(1 << 20)
LEAKING = judge_series(
    range(200), 100 * MIB + 100_000.0 * np.arange(200), resource="rss_bytes", unit="iteration"
)


def settings(server: str, role: str = "worker", limit: float = 512 * MIB) -> list[str]:
    entry = replace(LEAKING, role=role)
    meta = {"command": {"argv": [f"/usr/bin/{server}", "app:app"]}}
    return [str(gap) for gap in stop_gaps(meta, [entry], (limit, "limit of the control group"))]


def test_a_worker_is_replaced_before_it_fills_the_limit() -> None:
    first = settings("gunicorn")[0]
    words = first.replace(",", " ").split()
    requests = int(words[words.index("max_requests") + 2])
    jitter = int(words[words.index("max_requests_jitter") + 2])
    last = LEAKING.first + (requests + jitter) * LEAKING.rate_high
    assert last <= 0.8 * 512 * MIB
    assert last > 0.7 * 512 * MIB
    assert "512 MiB (limit of the control group)" in first


def test_each_server_has_its_own_setting() -> None:
    assert "--limit-max-requests" in settings("uvicorn")[0]
    assert "worker_max_tasks_per_child" in settings("celery")[0]
    assert "worker_max_memory_per_child = 419430" in settings("celery")[1]
    assert settings("python")[0].startswith("systemd: MemoryHigh=409M")


def test_replacing_children_does_not_help_a_parent_that_grows() -> None:
    assert "no help: the parent grows" in settings("gunicorn", role="main")[0]


def test_nothing_is_advised_without_a_leak_a_limit_or_room() -> None:
    assert stop_gaps({}, [LEAKING], None) == []
    assert stop_gaps({}, [replace(LEAKING, verdict="bounded")], (512 * MIB, "limit")) == []
    assert settings("gunicorn", limit=50 * MIB) == []


def test_by_second_no_number_of_requests_is_made_up() -> None:
    entry = replace(LEAKING, unit="second", role="worker")
    meta = {"command": {"argv": ["gunicorn"]}}
    assert [gap.server for gap in stop_gaps(meta, [entry], (512 * MIB, "limit"))] == ["systemd"]


def of_workers(server: str, count: int, limit_name: str = "memory of the machine") -> list[str]:
    """Settings where ``count`` workers grow together beside a parent of 60 MiB."""
    together = replace(
        LEAKING, role="worker", first=count * LEAKING.first, last=count * LEAKING.last
    )
    parent = replace(LEAKING, role="main", verdict="bounded", first=60 * MIB, last=60 * MIB)
    row = {"pass": "measure", "role": "worker", "started_seconds": 1.0, "ended_seconds": 5.0}
    replaced = {**row, "started_seconds": 5.0, "ended_seconds": None}
    rows = [{"pass": "measure", "role": "main"}, *[row] * count, *[replaced] * count]
    # A second pass has workers of its own, which were not there at the same time.
    rows += [{**row, "pass": "explain"} for row in rows]
    meta = {"command": {"argv": [server]}, "processes": rows}
    return [str(gap) for gap in stop_gaps(meta, [together, parent], (1024 * MIB, limit_name))]


def number_after(text: str, setting: str) -> int:
    return int(text.partition(setting)[2].replace("=", " ").replace(",", " ").split()[0])


def test_all_workers_together_stay_below_the_limit() -> None:
    """The setting counts for each worker, the limit for all of them and their parent."""
    for count in (1, 4):
        first = of_workers("uvicorn", count)[0]
        requests = number_after(first, "--limit-max-requests")
        last = 60 * MIB + count * (LEAKING.first + requests * LEAKING.rate_high)
        assert 0.75 * 1024 * MIB < last <= 0.8 * 1024 * MIB
    assert "190 MiB for each of 4 workers, less 100 MiB at the start" in first
    celery = of_workers("celery", 4)[1]
    most = number_after(celery, "worker_max_memory_per_child") * 1024
    assert 60 * MIB + 4 * most == pytest.approx(0.8 * 1024 * MIB)
    assert "of resident memory for each of 4 workers" in celery


def test_a_limit_of_each_process_is_not_shared() -> None:
    celery = of_workers("celery", 4, "RLIMIT_AS")[1]
    assert number_after(celery, "worker_max_memory_per_child") == 838_860


def test_descriptors_bound_the_number_of_requests_too() -> None:
    """Where they run out before memory does, a bound on memory would come too late."""
    held = judge_series(range(200), 10.0 + np.arange(200), resource="fd_count", unit="iteration")
    meta = {
        "command": {"argv": ["celery"]},
        "processes": [{"pass": "measure", "role": "main", "descriptor_limit": 500}],
    }
    limit = (4096 * MIB, "limit of the control group")
    both = stop_gaps(meta, [LEAKING, held], limit)
    tasks = number_after(str(both[0]), "worker_max_tasks_per_child")
    assert 350 < 10 + tasks * held.rate_high <= 400
    assert "80% of 500 fds (RLIMIT_NOFILE) less 10 fds at the start" in str(both[0])
    assert len(both) == 1
    assert [str(gap) for gap in stop_gaps(meta, [held], None)] == [str(both[0])]
    # Memory first: then its settings, all of them.
    meta["processes"][0]["descriptor_limit"] = 10**6
    first = stop_gaps(meta, [LEAKING, held], limit)
    assert [str(gap) for gap in first] == [str(gap) for gap in stop_gaps(meta, [LEAKING], limit)]


def worker_rows(*lives: tuple[float, float | None]) -> dict[str, list[dict[str, object]]]:
    return {
        "processes": [
            {"pass": "measure", "role": "worker", "started_seconds": begun, "ended_seconds": ended}
            for begun, ended in lives
        ]
    }


def test_a_worker_that_takes_the_place_of_another_is_no_further_one() -> None:
    """Old and new overlap for a moment: the old one ends its requests while the next starts."""
    handed_over = [
        (begun, begun + 11.0 if begun < 90 else 100.0) for begun in range(0, 100, 10) for _ in "ab"
    ]
    assert together_count(worker_rows(*handed_over), "worker") == 2
    # The next ones had hardly begun when the recording ended, or nobody saw their end.
    for end in (20.2, None):
        begun_last = [(0.0, 20.1), (0.1, 20.15), (20.0, end), (20.1, end)]
        assert together_count(worker_rows(*begun_last), "worker") == 2
    # One stays, the other is replaced again and again.
    one_stays = [(0.0, 100.0), *((float(k), k + 10.5) for k in range(0, 90, 10)), (90.0, 100.0)]
    assert together_count(worker_rows(*one_stays), "worker") == 2


def test_workers_that_live_at_the_same_time_for_long_are_counted() -> None:
    assert together_count({}, "worker") == 1
    assert together_count(worker_rows(*[(1.0, None)] * 3), "worker") == 3
    assert together_count(worker_rows((0.0, 10.0), (6.0, 16.0)), "worker") == 2
    assert together_count(worker_rows((0.0, 100.0), (40.0, 42.0)), "worker") == 2
    assert together_count(worker_rows((0.0, 100.0), (50.0, 100.0), (50.0, 90.0)), "worker") == 3


def test_a_worker_whose_work_is_over_is_not_counted() -> None:
    """It may take as long to end as it had worked."""
    meta = worker_rows((0.0, 2.0), (0.0, 2.0), (1.1, 3.0), (1.2, 3.0))
    assert together_count(meta, "worker") == 4
    for row in meta["processes"][:2]:
        row["work_ended_seconds"] = 1.0
    assert together_count(meta, "worker") == 2
