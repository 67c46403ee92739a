"""A debugger is tried on a process of ours before it is let near the target."""

from __future__ import annotations

from pathlib import Path

import pytest

from leaklab.recorder import attach, debugger


def tool(folder: Path, does: str) -> str:
    """A debugger that does this; $4 is the process, as after ``-nx -batch -p``."""
    path = folder / "gdb"
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)
    return str(path)


def test_one_that_calls_a_function_can_be_used(tmp_path: Path) -> None:
    assert debugger.why_unusable(tool(tmp_path, 'echo "\\$1 = $4"')) is None


def test_one_that_cannot_is_named_with_what_it_said(tmp_path: Path) -> None:
    why = debugger.why_unusable(tool(tmp_path, 'echo "Couldn\'t write registers." >&2'))
    assert why is not None
    assert "cannot call a function in a process on this machine" in why
    assert "(Couldn't write registers.)" in why
    missing = debugger.why_unusable(str(tmp_path / "none"))
    assert missing is not None
    assert "No such file" in missing


def test_the_target_is_left_alone_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attach.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(attach, "why_unusable", lambda name: f"{name} cannot")
    monkeypatch.delattr(attach.sys, "remote_exec", raising=False)
    # It would fail otherwise, or harm whoever has the number.
    monkeypatch.setattr(attach, "_attach_by", lambda *_: pytest.fail("attached"))
    assert attach.attach(1, "channel") == "gdb cannot"
