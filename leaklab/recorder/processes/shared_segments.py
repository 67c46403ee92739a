"""Which of the segments of shared memory that a target has made are still there, and their size."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from leaklab.recorder.processes.paid_looks import PaidLooks
from leaklab.recorder.procfs import SHARED_MEMORY, shared_memory_of

# In which a file's memory is counted, whatever its file system uses.
_BLOCK_SIZE = 512
# Of the processes that have a folder, so many are remembered: it is seen through one that lives.
_SEEN_BY_LIMIT = 16

# A folder by its device and inode: processes may have another one under the same name.
_Place = tuple[int, int]


class SharedSegments:
    """Segments by name. One that was unlinked and made anew, by whomever, is another one.

    A process in a container has another folder than the recorder: it is looked at through /proc.
    folder_of: where there is that of a process, by its id.
    """

    def __init__(
        self,
        folder: Path = Path(SHARED_MEMORY),
        folder_of: Callable[[int], str] = shared_memory_of,
    ) -> None:
        self._folder_of = folder_of
        self._own = _place(str(folder)) or (0, 0)
        self._paths: dict[_Place, list[str]] = {self._own: [str(folder)]}
        self._inodes: dict[tuple[_Place, str], int] = {}
        self._any = False
        #: whether one was made where it cannot be seen: then no figure is the whole
        self._unseen = False
        self._looks = PaidLooks()

    def made(self, name: str, pids: Sequence[int] = ()) -> None:
        """Note one that a process of the target has just made.

        pids: of that process, and of others that likely have the same folder if that is gone.
        """
        name = name.removeprefix("/")
        self._any = True
        place, readable = self._place_for(pids)
        status = _status(self._paths[place][-1], name)
        if status is not None:
            self._inodes[place, name] = status.st_ino
        # What is in the recorder's own folder was made there, even if the process does not tell.
        elif not readable:
            self._unseen = True

    def figures(self, now: float) -> dict[str, float]:
        """Return how many are there at ``now`` (seconds of the pass), and the memory they take.

        Nothing before the first, while looking has not paid off, and where some cannot be seen.
        """
        if not self._looks.due(now):
            return {}
        with self._looks.look():
            return self.figures_left()

    def figures_left(self) -> dict[str, float]:
        """Return :meth:`figures`, whatever it costs."""
        if not self._any or self._unseen:
            return {}
        size = 0
        paths = {place: self._path(place) for place in {place for place, _ in self._inodes}}
        for (place, name), inode in [*self._inodes.items()]:
            path = paths[place]
            if path is None:
                return {}
            status = _status(path, name)
            if status is None or status.st_ino != inode:
                del self._inodes[place, name]
            else:
                size += status.st_blocks * _BLOCK_SIZE
        return {"shm_count": len(self._inodes), "shm_bytes": size}

    def _place_for(self, pids: Sequence[int]) -> tuple[_Place, bool]:
        """Return the folder of the first process that still has one, and whether it may be read.

        Else the recorder's own.
        """
        readable = True
        for pid in pids:
            path = self._folder_of(pid)
            try:
                place = _place(path)
            except PermissionError:
                readable = False
                break
            if place is not None:
                paths = self._paths.setdefault(place, [])
                if place != self._own:
                    paths[:] = [*(one for one in paths if one != path), path][-_SEEN_BY_LIMIT:]
                return place, True
        return self._own, readable

    def _path(self, place: _Place) -> str | None:
        """Return a path by which a folder is seen now; None where no process has it any more."""
        if place == self._own:
            return self._paths[place][0]
        for path in self._paths[place]:
            try:
                if _place(path) == place:
                    return path
            except PermissionError:
                continue
        return None


def _place(path: str) -> _Place | None:
    """Return which folder is at a path, None for none; raises PermissionError."""
    try:
        status = Path(path).stat()
    except PermissionError:
        raise
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _status(folder: str, name: str) -> os.stat_result | None:
    if not name or "/" in name:  # what a target says is no path of ours
        return None
    try:
        return os.lstat(f"{folder}/{name}")
    except (OSError, ValueError):
        return None
