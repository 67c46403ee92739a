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
    monkeypatch.setattr(control_group, "_PROC", tmp_path / "proc")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def kills_of(path: Path, then: str) -> int:
    """How many were killed in the group of process 7, whose file says another thing then."""
    kills = control_group.OomKills()
    kills.see(7)
    write(path, then)
    return kills.count


LIMITS = """\
Limit                     Soft Limit           Hard Limit           Units
Max processes             300                  400                  processes
Max open files            1024                 4096                 files
Max address space         unlimited            unlimited            bytes
"""


def test_the_limits_of_a_process_are_those_of_its_own_group_and_user(root: Path) -> None:
    """The recorder lives elsewhere: a service has a unit, a container, a shell's limits."""
    write(root / "proc/7/cgroup", "8:pids:/\n4:memory:/\n0::/unit\n")
    write(root / "proc/7/limits", LIMITS)
    write(root / "proc/7/status", "Name:\tx\nUid:\t1000\t1000\nCapEff:\t0000000000000000\n")
    write(root / "proc/sys/kernel/threads-max", "5000\n")
    write(root / "proc/sys/kernel/pid_max", "4000\n")
    write(root / "unit/memory.max", "700\n")
    found = control_group.limits_of(7)
    assert (found["descriptor_limit"], found["address_space_bytes"]) == (1024, None)
    assert found["group_memory_bytes"] == 700
    assert (found["thread_limit"], found["thread_limit_name"]) == (300, "RLIMIT_NPROC")
    # Root is not held to that of its user, but to that of its group.
    write(root / "proc/7/status", "Uid:\t0\t0\nCapEff:\t000001ffffffffff\n")
    assert control_group.limits_of(7)["thread_limit_name"] == "kernel.pid_max"
    write(root / "unit/pids.max", "120\n")
    found = control_group.limits_of(7)
    assert (found["thread_limit"], found["thread_limit_name"]) == (120, "pids.max")


def test_what_is_killed_after_a_process_has_changed_its_group_counts(root: Path) -> None:
    kills = control_group.OomKills()
    for group in ("shell", "unit"):
        write(root / "proc/7/cgroup", f"0::/{group}\n")
        write(root / group / "memory.events", "oom_kill 2\n")
        kills.see(7)
    assert kills.count == 0
    write(root / "unit/memory.events", "oom_kill 3\n")
    (root / "proc/7/cgroup").unlink()  # it is gone
    kills.see(7)
    assert kills.count == 1


def test_the_smallest_limit_of_the_groups_above_counts(root: Path) -> None:
    write(root / "proc/7/cgroup", "0::/service/worker\n")
    write(root / "service/worker/memory.max", "max\n")
    write(root / "service/memory.max", "500\n")
    write(root / "service/worker/memory.events", "low 0\noom 4\noom_kill 3\noom_group_kill 0\n")
    assert control_group.limit_bytes(7) == 500
    assert kills_of(root / "service/worker/memory.events", "oom 5\noom_kill 4\n") == 1


def test_version_1(root: Path) -> None:
    write(root / "proc/7/cgroup", "5:cpu,cpuacct:/\n4:memory:/service\n0::/\n")
    write(root / "memory/service/memory.limit_in_bytes", "700\n")
    write(root / "memory/memory.limit_in_bytes", "9223372036854771712\n")
    write(root / "memory/service/memory.oom_control", "under_oom 0\noom_kill 2\n")
    assert control_group.limit_bytes(7) == 700
    assert kills_of(root / "memory/service/memory.oom_control", "oom_kill 2\n") == 0


def test_in_a_container_the_own_group_is_the_root(root: Path) -> None:
    write(root / "proc/7/cgroup", "0::/host/knows/this\n")
    write(root / "memory.max", "900\n")
    assert control_group.limit_bytes(7) == 900


def test_without_groups_there_is_no_limit(root: Path) -> None:
    assert control_group.limit_bytes(7) is None
    assert control_group.limits_of(7) == {}
    assert kills_of(root / "nothing", "") == 0


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
