"""Sizes of watched files and folders, and shared memory that was left behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from leaklab.recorder.processes import paid_looks, watched_files
from leaklab.recorder.processes.shared_segments import SharedSegments
from leaklab.recorder.processes.watched_files import WatchedFiles, folder_size


@pytest.fixture
def nothing_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look must pay off from the first on."""
    monkeypatch.setattr(paid_looks, "FREE_SECONDS", 0.0)


@pytest.mark.usefixtures("nothing_free")
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


def test_a_short_run_has_looks_enough(tmp_path: Path) -> None:
    """Forty marks in a moment are forty figures."""
    watched = WatchedFiles([str(tmp_path)], None, print)
    assert None not in [watched.sizes(0.001 * k)[f"file_bytes:{tmp_path}"] for k in range(40)]


@pytest.mark.usefixtures("nothing_free")
def test_segments_are_counted_until_whoever_unlinks_them(tmp_path: Path) -> None:
    segments = SharedSegments(tmp_path)
    (tmp_path / "of_others").write_bytes(b"x")
    assert segments.figures(0.0) == {}, "nothing was made"
    for name in ("psm_1", "psm_2"):
        (tmp_path / name).write_bytes(b"x")
        segments.made(f"/{name}")
    segments.made("/unlinked_at_once")
    segments.made("/../of_nobody")
    segments.made("")
    assert segments.figures(0.0) == {}, "a look has to pay off first"
    size = 512 * sum((tmp_path / name).stat().st_blocks for name in ("psm_1", "psm_2"))
    assert segments.figures(1000.0) == {"shm_count": 2, "shm_bytes": size}
    assert size > 0
    (tmp_path / "psm_1").rename(tmp_path / "kept_from_getting_the_number_again")
    (tmp_path / "psm_1").write_bytes(b"somebody else's")
    (tmp_path / "psm_2").unlink()
    assert segments.figures(1000.0) == {"shm_count": 0, "shm_bytes": 0}
