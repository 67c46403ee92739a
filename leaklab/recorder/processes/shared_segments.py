"""How many of the segments of shared memory that a target has made are still there."""

from __future__ import annotations

import time
from pathlib import Path

FOLDER = Path("/dev/shm")  # noqa: S108
# Looking at them all costs at most this share of the recorder's time.
LOOK_SHARE = 0.01


class SharedSegments:
    """Segments by name. One that was unlinked and made anew, by whomever, is another one."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._inodes: dict[str, int] = {}
        self._any = False
        self._due_seconds = 0.0

    def made(self, name: str) -> None:
        """Note one that a process of the target has just made."""
        name = name.removeprefix("/")
        inode = self._inode(name)
        self._any = True
        if inode is not None:
            self._inodes[name] = inode

    def count(self, now: float) -> int | None:
        """Return how many are there; None before the first, and while looking has not paid off."""
        if now < self._due_seconds:
            return None
        begun = time.perf_counter()
        found = self.count_left()
        self._due_seconds = now + (time.perf_counter() - begun) / LOOK_SHARE
        return found

    def count_left(self) -> int | None:
        """Return :meth:`count`, whatever it costs."""
        for name, inode in [*self._inodes.items()]:
            if self._inode(name) != inode:
                del self._inodes[name]
        return len(self._inodes) if self._any else None

    def _inode(self, name: str) -> int | None:
        if not name or "/" in name:  # what a target says is no path of ours
            return None
        try:
            return (self._folder / name).lstat().st_ino
        except (OSError, ValueError):
            return None
