"""How many of the segments of shared memory that a target has made are still there."""

from __future__ import annotations

from pathlib import Path

from leaklab.recorder.processes.paid_looks import PaidLooks

FOLDER = Path("/dev/shm")  # noqa: S108


class SharedSegments:
    """Segments by name. One that was unlinked and made anew, by whomever, is another one."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._inodes: dict[str, int] = {}
        self._any = False
        self._looks = PaidLooks()

    def made(self, name: str) -> None:
        """Note one that a process of the target has just made."""
        name = name.removeprefix("/")
        inode = self._inode(name)
        self._any = True
        if inode is not None:
            self._inodes[name] = inode

    def count(self, now: float) -> int | None:
        """Return how many are there at ``now`` (seconds of the pass); None before the first, and
        while looking has not paid off."""
        if not self._looks.due(now):
            return None
        with self._looks.look():
            return self.count_left()

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
