"""Sizes of watched files and folders."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from leaklab.recorder.processes import watched_files
from leaklab.recorder.processes.watched_files import WatchedFiles, folder_size


def test_a_folder_is_as_large_as_the_files_below_it(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "spool"
    outside.write_bytes(b"x" * 5000)
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "one").write_bytes(b"x" * 100)
    (folder / "a" / "b" / "two").write_bytes(b"x" * 2000)
    (folder / "link").symlink_to(outside)
    (folder / "a" / "up").symlink_to(folder)
    os.mkfifo(folder / "pipe")
    told: list[str] = []
    watched = WatchedFiles(["spool", "outside", "missing"], str(tmp_path), told.append)
    assert watched.sizes(0.0, folders=False) == {
        "file_bytes:spool": None,
        "file_bytes:outside": 5000,
        "file_bytes:missing": None,
    }
    assert watched.sizes(0.0)["file_bytes:spool"] == 2100
    assert watched.sizes(0.0)["file_bytes:spool"] is None, "a walk has to pay off first"
    (folder / "three").write_bytes(b"x" * 30)
    assert watched.sizes(1000.0)["file_bytes:spool"] == 2130
    assert not told


def test_a_folder_that_takes_too_long_is_said_once_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    assert folder_size(tmp_path, time.perf_counter() - 1) is None
    monkeypatch.setattr(watched_files, "LONGEST_WALK_SECONDS", -1.0)
    told: list[str] = []
    watched = WatchedFiles([str(tmp_path)], None, told.append)
    for now in (0.0, 1000.0):
        assert watched.sizes(now) == {f"file_bytes:{tmp_path}": None}
    assert len(told) == 1 and told[0].startswith(f"{tmp_path} holds more files than")
