"""Roles, the probe's JSON, and output that is followed: the recorder's parts without a target."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from leaklab.probe import channel, marks
from leaklab.recorder import output
from leaklab.recorder.output import OutputFile
from leaklab.recorder.processes.roles import command_role, fork_role
from leaklab.recorder.processes.samples import Samples
from leaklab.recorder.processes.table import ProcessTable
from leaklab.recorder.processes.tracked import MAIN, Tracked


@pytest.mark.parametrize(
    ("argv", "role"),
    [
        (["/usr/bin/python3.12", "/srv/app.py", "--port", "80"], "python app.py"),
        (["python", "-u", "-m", "celery", "worker"], "python -m celery worker"),
        (["/usr/bin/node", "server.js"], "node"),
        (["worker-17"], "worker-N"),
        (["python", "p03_worker.py", "7"], "python p03_worker.py"),
        (
            ["python", "-c", "from multiprocessing.spawn import spawn_main; spawn_main(7)"],
            "multiprocessing spawn",
        ),
        ([], "unknown"),
    ],
)
def test_workers_of_one_kind_have_one_role(argv: list[str], role: str) -> None:
    assert command_role(argv) == role


def test_the_probe_writes_json_without_the_json_module() -> None:
    message = {
        "text": 'a "quoted"\nline \u20ac \ud800',
        "none": None,
        "true": True,
        "numbers": [1, -2.5, float("nan"), float("inf"), 10**20],
        "inner": {"a": {}},
    }
    expected = {**message, "numbers": [1, -2.5, None, None, 10**20]}
    assert json.loads(channel.encode(message)) == expected


def test_marks_do_nothing_outside_a_recording() -> None:
    assert marks.mark() is None
    assert marks.gauge("entries", "not a number") is None


def test_output_is_followed_counted_and_kept_as_a_tail(tmp_path: Path) -> None:
    seen: list[bytes] = []
    out = OutputFile(tmp_path / "out.txt", [re.compile("^done")], seen.append)
    os.write(out.descriptor, b"done 1\nnot done\ndo")
    assert out.follow() == 1
    os.write(out.descriptor, b"ne 2\nlast")
    assert out.follow() == 1
    assert b"".join(seen) == b"done 1\nnot done\ndone 2\nlast"
    assert out.last_line == "done 2"
    out.close()
    assert out.tail.endswith("last")
    assert not (tmp_path / "out.txt").exists()


def test_output_that_was_read_gives_its_disk_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "PUNCH_SIZE", 1 << 20)
    out = OutputFile(tmp_path / "out.txt")
    block = b"x" * (1 << 20)
    for _ in range(8):
        os.write(out.descriptor, block)
        out.follow()
    assert out.size_bytes <= 2 << 20
    assert len(out.tail) == output.TAIL_SIZE
    out.close()


def _followed(table: ProcessTable, role: str, started: float, **known: object) -> Tracked:
    tracked = table.add(os.getpid(), started, None, role)
    assert tracked is not None
    for name, value in known.items():
        setattr(tracked, name, value)
    return tracked


def test_a_fork_of_a_fork_is_of_the_same_kind() -> None:
    table = ProcessTable(0, 0.1, 0.1)
    first = _followed(table, MAIN, 0.0)
    child = _followed(table, fork_role(first), 0.1)
    assert (child.role, fork_role(child)) == ("fork of main", "fork of main")


def test_progress_counts_what_all_processes_have_done() -> None:
    table = ProcessTable(0, 0.1, 0.1)
    _followed(table, MAIN, 0.0)
    _followed(table, "worker", 0.1, mark_count=70, ended_seconds=5.0)
    _followed(table, "worker", 0.1, mark_count=50)
    assert (table.mark_count(), table.mark_count(MAIN)) == (120, 0)
    assert table.kept()["mark_count"] == 120


@pytest.mark.parametrize(
    ("launcher_marks", "daemon_marks", "now", "roles"),
    [
        (1, 2, 0.6, ["launcher", "launcher", "main"]),
        (0, 0, 1.1, ["launcher", "launcher", "main"]),
        (0, 0, 0.9, ["main", "fork of main", "fork of main"]),
        (200, 5, 9.0, ["main", "fork of main", "fork of main"]),
    ],
)
def test_what_goes_on_in_the_background_becomes_the_main_process(
    launcher_marks: int, daemon_marks: int, now: float, roles: list[str]
) -> None:
    table = ProcessTable(0, 0.1, 0.1)
    _followed(table, MAIN, 0.0, ended_seconds=0.5, mark_count=launcher_marks)
    between = _followed(table, "fork of main", 0.4, ended_seconds=0.51)
    daemon = _followed(table, "fork of main", 0.5, mark_count=daemon_marks)
    table.hand_over([between, daemon], now)
    assert [tracked.role for tracked in table.all] == roles
    assert table.main is next(one for one in table.all if one.role == MAIN)


def test_an_orphan_with_a_known_command_line_is_one_more_of_its_kind() -> None:
    processes = ProcessTable(0, 0.1, 0.1)
    pipe = subprocess.PIPE
    with subprocess.Popen(["cat", "-u"], stdin=pipe, stdout=pipe) as orphan:
        assert orphan.stdin is not None and orphan.stdout is not None
        orphan.stdin.write(b"it runs\n")
        orphan.stdin.flush()
        orphan.stdout.readline()
        _followed(processes, "fork of sh", 0.0, argv=["cat", "-u"])
        processes.adopt_orphans(0.1, os.getsid(0), "no channel", ())
        assert (processes.all[-1].pid, processes.all[-1].role) == (orphan.pid, "fork of sh")


@pytest.mark.parametrize(
    ("before", "age_seconds", "after", "kept"),
    [
        ("short-lived", 0.1, "cat", False),
        ("short-lived", 5.0, "cat", False),
        ("fork of main", 0.1, "cat", False),
        ("fork of main", 5.0, "fork of main", True),
    ],
)
def test_what_a_child_had_before_its_exec_is_its_parents(
    before: str, age_seconds: float, after: str, kept: bool
) -> None:
    processes = ProcessTable(0, 0.1, 0.1)
    pipe = subprocess.PIPE
    with subprocess.Popen(["cat", "-u"], stdin=pipe, stdout=pipe) as child:
        assert child.stdin is not None and child.stdout is not None
        child.stdin.write(b"it runs\n")
        child.stdin.flush()
        child.stdout.readline()
        tracked = processes.add(child.pid, 0.0, None, before)
        assert tracked is not None
        tracked.argv = ["python", "app.py"]
        tracked.young_samples = [(0.05, False, {"rss_bytes": 2e7})]
        assert not list(processes.discover(age_seconds))
    assert tracked.role == after
    assert bool(tracked.young_samples) == kept


def test_what_was_only_seen_before_its_exec_has_no_figures() -> None:
    table = ProcessTable(0, 0.1, 0.1)
    writer: Any = SimpleNamespace(append=lambda name, rows: stored.extend(rows["value"]))
    stored: list[float] = []
    samples = Samples(writer, "measure", (), None)
    for role in ("short-lived", "cat"):
        child = _followed(table, role, 0.0, ended_seconds=0.1)
        child.young_samples = [(0.05, False, {"rss_bytes": 2e7})]
        samples.ended(child, table.fold(child))
    samples.flush()
    assert stored == [2e7]
