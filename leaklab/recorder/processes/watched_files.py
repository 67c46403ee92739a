"""Sizes of watched files, and of folders with all that lies in them."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from leaklab.recorder.processes.paid_looks import PaidLooks

# A walk through a folder takes at most so long: a process that has come to a mark waits for it.
LONGEST_WALK_SECONDS = 1.0


class WatchedFiles:
    """Sizes by the name each was given; ``tell`` is called once with what cannot be measured."""

    def __init__(self, names: Sequence[str], cwd: str | None, tell: Callable[[str], None]) -> None:
        self._paths = {name: Path(cwd or "", name) for name in names}
        self._tell = tell
        self._walks = {name: PaidLooks() for name in names}
        self._given_up: set[str] = set()

    def sizes(self, now: float, *, folders: bool = True) -> dict[str, float | None]:
        """Return what there is to store at ``now``; folders by the files below, links excepted.

        A folder has None while its last walk has not paid off, and without ``folders``.
        """
        sizes: dict[str, float | None] = {}
        for name, path in self._paths.items():
            try:
                status = path.stat()
                size: int | None = status.st_size
                if stat.S_ISDIR(status.st_mode):
                    size = self._folder_size(name, path, now) if folders else None
            except OSError:
                size = None
            sizes[f"file_bytes:{name}"] = size
        return sizes

    def _folder_size(self, name: str, path: Path, now: float) -> int | None:
        walks = self._walks[name]
        if name in self._given_up or not walks.due(now):
            return None
        with walks.look():
            size = folder_size(path, time.perf_counter() + LONGEST_WALK_SECONDS)
        if size is None:
            self._given_up.add(name)
            self._tell(
                f"{name} holds more files than can be looked at in {LONGEST_WALK_SECONDS:g} s, so "
                "its size is not recorded any more; watch a folder in it"
            )
        return size


def folder_size(path: Path, until_seconds: float) -> int | None:
    """Return the bytes of the regular files below a folder; None if there was no time for all.

    Raises OSError for a folder that cannot be read; one below it that cannot is left out.
    """
    size, folders = 0, [os.fspath(path)]
    while folders:
        folder = folders.pop()
        try:
            entries = os.scandir(folder)
        except OSError:
            if folder == os.fspath(path):
                raise
            continue
        with entries:
            for entry in entries:
                if time.perf_counter() > until_seconds:
                    return None
                # What is removed meanwhile has no size.
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        size += entry.stat(follow_symlinks=False).st_size
    return size
