"""Limits of control groups, in both versions and inside containers."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from leaklab.recorder.processes import limits as control_group


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(control_group, "_ROOT", tmp_path)
    monkeypatch.setattr(control_group, "_OWN", tmp_path / "own")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_smallest_limit_of_the_groups_above_counts(root: Path) -> None:
    write(root / "own", "0::/service/worker\n")
    write(root / "service/worker/memory.max", "max\n")
    write(root / "service/memory.max", "500\n")
    write(root / "service/worker/memory.events", "low 0\noom 4\noom_kill 3\noom_group_kill 0\n")
    assert control_group.limit_bytes() == 500
    assert control_group.oom_kill_count() == 3


def test_version_1(root: Path) -> None:
    write(root / "own", "5:cpu,cpuacct:/\n4:memory:/service\n0::/\n")
    write(root / "memory/service/memory.limit_in_bytes", "700\n")
    write(root / "memory/memory.limit_in_bytes", "9223372036854771712\n")
    write(root / "memory/service/memory.oom_control", "under_oom 0\noom_kill 2\n")
    assert control_group.limit_bytes() == 700
    assert control_group.oom_kill_count() == 2


def test_in_a_container_the_own_group_is_the_root(root: Path) -> None:
    write(root / "own", "0::/host/knows/this\n")
    write(root / "memory.max", "900\n")
    assert control_group.limit_bytes() == 900


def test_without_groups_there_is_no_limit(root: Path) -> None:
    assert control_group.limit_bytes() is None
    assert control_group.oom_kill_count() == 0


def test_processes_come_to_a_limit_together() -> None:
    """None of them by itself: the last graph is of a worker, whose kind holds most."""
    processes: list[Any] = [
        SimpleNamespace(role=role, rss_bytes=size)
        for role, size in (("main", 50), ("worker", 30), ("worker", 40))
    ]
    main, worker, _ = processes
    for together, near in ((120.0, True), (121.0, False)):
        assert control_group.is_near_limit((together, math.inf), worker, processes) is near
        assert not control_group.is_near_limit((together, math.inf), main, processes)
    # A limit that each meets for itself.
    assert control_group.is_near_limit((math.inf, 45.0), main, processes)
    assert not control_group.is_near_limit((math.inf, 45.0), worker, processes)
    assert not control_group.is_near_limit(None, worker, processes)
