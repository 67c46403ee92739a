"""Temporary folders that leave nothing behind, not even after SIGKILL.

Each is locked by its owner for as long as that lives, whatever pid or container it has. Making
one removes those whose owner is gone.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

# The path of a Unix socket inside may have about 100 characters.
_LONGEST_PARENT = 70
# What a killed owner leaves in these is worth keeping; whoever makes them looks after it.
KEPT_KINDS = frozenset({"upload"})


class Scratch:
    """A folder only this user can enter, with a short path; removed by ``close``."""

    def __init__(self, kind: str) -> None:
        for folder in Scratch.abandoned("*"):
            if folder.kind in KEPT_KINDS:
                folder.forget()
            else:
                folder.close()
        new = Path(tempfile.mkdtemp(prefix="leaklab-", dir=_parent()))  # mode 0700
        self._lock = _locked(new)
        # Only now has it a name that others would take for abandoned when it is not locked.
        self.path = new.rename(new.with_name(f"leaklab.{kind}.{new.name[8:]}"))

    @classmethod
    def abandoned(cls, kind: str) -> Iterator[Scratch]:
        """Take over the folders of one kind whose owners are gone; close or forget each."""
        for path in _parent().glob(f"leaklab.{kind}.*"):
            lock = _locked(path)
            if lock is not None:
                folder = cls.__new__(cls)
                folder.path, folder._lock = path, lock
                yield folder

    @property
    def kind(self) -> str:
        """What it is for."""
        return self.path.name.split(".")[1]

    def forget(self) -> None:
        """Give the folder up where it is."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def close(self) -> None:
        """Remove the folder and what is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.forget()

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *problem: object) -> None:
        self.close()


def _locked(path: Path) -> int | None:
    """Lock a folder of this user; None when it is in use, gone, or cannot be locked at all."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        if os.fstat(descriptor).st_uid == os.getuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def _parent() -> Path:
    folder = Path(tempfile.gettempdir())
    short = Path("/tmp")  # noqa: S108 (a folder made there is ours alone)
    return folder if len(str(folder)) <= _LONGEST_PARENT else short
