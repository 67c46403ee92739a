"""Settings that keep a leaking service alive: the arithmetic, and where they do not help."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from leaklab.findings.stop_gap import stop_gaps
from leaklab.verdict.judge_series import judge_series

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
