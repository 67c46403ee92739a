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


@pytest.mark.usefixtures("nothing_free")
def test_segments_are_looked_for_where_the_process_has_them(tmp_path: Path) -> None:
    """In a container it has a folder of its own under the same name."""
    own, private = tmp_path / "own", tmp_path / "private"
    seen = {7: tmp_path / "7", 8: tmp_path / "8"}
    for folder in (own, private):
        folder.mkdir()
    (own / "psm_1").write_bytes(b"somebody else's")
    (private / "psm_1").write_bytes(b"x")
    (private / "psm_2").write_bytes(b"x")
    for path in seen.values():
        path.symlink_to(private)
    segments = SharedSegments(own, lambda pid: str(seen[pid]))
    segments.made("/psm_1", (7,))
    segments.made("/psm_2", (8, 7))
    (own / "psm_1").unlink()
    assert segments.figures_left()["shm_count"] == 2
    seen[8].unlink()
    (private / "psm_2").unlink()
    assert segments.figures_left()["shm_count"] == 1, "another process has the same folder"
    seen[7].unlink()
    assert segments.figures_left() == {}, "nobody has it any more: not known, not none"
    (own / "psm_3").write_bytes(b"x")
    segments.made("/psm_3", (8, 7))
    seen[7].symlink_to(private)
    assert segments.figures_left()["shm_count"] == 2, "that of the one that is gone, and ours"


def test_segments_in_a_folder_that_may_not_be_read_are_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = os.stat

    def refuse(path: object, **more: bool) -> os.stat_result:
        if str(path) == "/of/another/user":
            raise PermissionError
        return look(str(path), **more)

    monkeypatch.setattr(os, "stat", refuse)
    segments = SharedSegments(tmp_path, lambda pid: "/of/another/user")
    (tmp_path / "psm_1").write_bytes(b"x")
    segments.made("/psm_1", (7,))
    assert segments.figures_left()["shm_count"] == 1, "where we look is where it was made"
    segments.made("/psm_2", (7,))
    assert segments.figures_left() == {}
