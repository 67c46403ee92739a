"""Scratch folders: swept away once their owner is gone, never before."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from leaklab.scratch import Scratch

OWNER = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from leaklab.scratch import Scratch
scratch = Scratch(sys.argv[2])
(scratch.path / "file").write_text("kept")
print(scratch.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:  # short: a socket must fit in
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def owner(temporary: Path, kind: str) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(temporary), kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate(timeout=30)


def test_a_folder_is_removed_after_its_owner_was_killed_and_not_before(temporary: Path) -> None:
    process, path = owner(temporary, "job")
    assert path.stat().st_mode & 0o777 == 0o700
    with Scratch("run") as mine:
        assert sorted(temporary.iterdir()) == sorted([path, mine])
        end(process)
        with Scratch("run") as other:
            assert sorted(temporary.iterdir()) == sorted([mine, other])
    assert list(temporary.iterdir()) == []


def test_what_is_worth_keeping_waits_for_who_looks_after_it(temporary: Path) -> None:
    process, path = owner(temporary, "upload")
    assert list(Scratch.abandoned("upload")) == []
    end(process)
    Scratch("run").close()
    (found,) = Scratch.abandoned("upload")
    assert (found.path / "file").read_text() == "kept"
    found.forget()
    (found,) = Scratch.abandoned("upload")
    assert found.path == path
    found.close()
    assert list(temporary.iterdir()) == []


def test_what_others_have_put_there_is_left_alone(temporary: Path) -> None:
    (temporary / "leaklab.run.file").write_text("not a folder")
    (temporary / "elsewhere").mkdir()
    (temporary / "leaklab.run.link").symlink_to(temporary / "elsewhere")
    Scratch("run").close()
    assert len(list(temporary.iterdir())) == 3
