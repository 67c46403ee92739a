"""Which of the segments of shared memory that a target has made are still there, and their size."""

from __future__ import annotations

import os
from pathlib import Path

from leaklab.recorder.processes.paid_looks import PaidLooks

FOLDER = Path("/dev/shm")  # noqa: S108
# In which a file's memory is counted, whatever its file system uses.
_BLOCK_SIZE = 512


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
        status = self._status(name)
        self._any = True
        if status is not None:
            self._inodes[name] = status.st_ino

    def figures(self, now: float) -> dict[str, float]:
        """Return how many are there at ``now`` (seconds of the pass), and the memory they take.

        Nothing before the first, and while looking has not paid off.
        """
        if not self._looks.due(now):
            return {}
        with self._looks.look():
            return self.figures_left()

    def figures_left(self) -> dict[str, float]:
        """Return :meth:`figures`, whatever it costs."""
        size = 0
        for name, inode in [*self._inodes.items()]:
            status = self._status(name)
            if status is None or status.st_ino != inode:
                del self._inodes[name]
            else:
                size += status.st_blocks * _BLOCK_SIZE
        return {"shm_count": len(self._inodes), "shm_bytes": size} if self._any else {}

    def _status(self, name: str) -> os.stat_result | None:
        if not name or "/" in name:  # what a target says is no path of ours
            return None
        try:
            return (self._folder / name).lstat()
        except (OSError, ValueError):
            return None
