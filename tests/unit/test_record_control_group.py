"""Limits of control groups, in both versions and inside containers."""

from __future__ import annotations

from pathlib import Path

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
