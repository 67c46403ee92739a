"""Requests that cannot be carried out are refused before anything starts, in one line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from leaklab.errors import LeaklabError, UsageError
from leaklab.recorder.command import resolve
from leaklab.recorder.drive import drive_command
from leaklab.recorder.options import RecordOptions
from leaklab.recorder.unseen_marks import unseen_text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "nothing to record"),
        ({"pid": 1, "command": ["x.py"]}, "two targets"),
        ({"pid": -4}, "not a process id: -4"),
        ({"command": ["x.py"], "passes": ("mesure",)}, "unknown pass: mesure; allowed: measure"),
        ({"command": ["x.py"], "passes": ()}, "no pass to run"),
        ({"command": ["x.py"], "passes": ("measure", "measure")}, "named twice"),
        ({"command": ["x.py"], "collect": "often"}, "unknown collect: often; allowed: auto"),
        ({"command": ["x.py"], "duration_seconds": 0}, "duration_seconds out of range: 0"),
        ({"command": ["x.py"], "duration_seconds": float("nan")}, "out of range: nan"),
        ({"command": ["x.py"], "limit_memory_bytes": -1}, "limit_memory_bytes out of range"),
        ({"command": ["x.py"], "interval_seconds": 1e-6}, "interval too small"),
        ({"command": ["x.py"], "snapshot_share": 2.0}, "snapshot_share out of range"),
        ({"command": ["x.py"], "cwd": "/no/such"}, "no such working folder: /no/such"),
        ({"command": ["x.py"], "mark_on": ["htp"]}, "unknown mark source: htp; allowed: http"),
        ({"command": ["x.py"], "mark_on": ["line:("]}, "not a regular expression: ("),
        ({"command": ["x.py"], "mark_on": ["call:app"]}, "not MODULE:FUNCTION: app"),
    ],
)
def test_a_bad_option_is_named_with_what_is_allowed(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        RecordOptions(**options)
    text = str(caught.value)
    assert message in text
    assert "\n" not in text


def test_mark_sources_are_told_apart() -> None:
    options = RecordOptions(command=["x.py"], mark_on=["http", "call:app:serve", "line:^done"])
    assert options.hooks == ("http", "app:serve")
    assert [pattern.pattern for pattern in options.line_patterns] == ["^done"]


def test_what_to_try_depends_on_what_was_asked_for() -> None:
    assert "no request was seen" in unseen_text(["http"], was_driven=False)
    assert "no request was seen" not in unseen_text(["http"], was_driven=True)
    named = unseen_text(["call:app.views:View.get", "line:^done"], was_driven=False)
    assert "View.get was not called by its name in app.views" in named
    assert "call:MODULE:FUNCTION" not in named
    assert "no line of the output matches ^done" in named


def test_a_script_runs_on_our_interpreter(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text("")
    command = resolve(["job.py", "--fast"], None, str(tmp_path))
    assert command.argv == (sys.executable, "job.py", "--fast")
    assert (command.kind, command.name, command.source) == ("script", "job", tmp_path / "job.py")


def test_a_module_and_its_source(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__main__.py").write_text("")
    command = resolve(["-m", "app", "x"], None, str(tmp_path))
    assert command.argv[1:] == ("-m", "app", "x")
    assert command.source == tmp_path / "app" / "__main__.py"


def test_a_virtual_environment_names_its_interpreter(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "job.py").write_text("")
    command = resolve(["job.py"], str(tmp_path), str(tmp_path))
    assert command.python == str(tmp_path / "bin" / "python")


@pytest.mark.parametrize(
    ("command", "python", "message"),
    [
        (["missing.py"], None, "no such script: missing.py"),
        (["no-such-program"], None, "no such program: no-such-program"),
        (["./plain.txt"], None, "not a program: ./plain.txt"),
        (["-m"], None, "no module named: -m"),
        (["plain.py"], "/no/python", "no such interpreter: /no/python"),
    ],
)
def test_what_cannot_be_started_is_said(
    tmp_path: Path, command: list[str], python: str | None, message: str
) -> None:
    (tmp_path / "plain.txt").write_text("")
    (tmp_path / "plain.py").write_text("")
    with pytest.raises(LeaklabError) as caught:
        resolve(command, python, str(tmp_path))
    assert message in str(caught.value)


def test_a_drive_is_a_command_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "load.py").write_text("")
    assert drive_command("wrk -t 2 http://x", None) == ["wrk", "-t", "2", "http://x"]
    assert drive_command("load.py", str(tmp_path))[-1] == str(tmp_path / "load.py")
    with pytest.raises(UsageError, match=r"no such file to drive with: gone\.py"):
        drive_command("gone.py", str(tmp_path))
    with pytest.raises(UsageError, match="not a command"):
        drive_command("a 'b", None)
