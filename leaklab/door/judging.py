"""Verdicts on a service's workers: worked out by one process at a time, read by every worker."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from leaklab.door import folder as store
from leaklab.door.beside import Analysis
from leaklab.errors import LeaklabError

# So often at the most.
JUDGED_SECONDS = 10.0
_LONGEST_SECONDS = 60.0


def status_file(folder: Path) -> Path:
    """Return where the last verdicts are, as they were told from this place."""
    return folder / f"status-{store.place_tag()}.json"


def _lock_file(folder: Path) -> Path:
    return folder / f"judging-{store.place_tag()}.lock"


def forget(folder: Path) -> None:
    """Remove the verdicts on workers that have all ended."""
    status_file(folder).unlink(missing_ok=True)
    _lock_file(folder).unlink(missing_ok=True)


def last(folder: Path) -> tuple[dict[str, Any], float]:
    """Return what was said last, and how many seconds ago; nothing of a service before this."""
    found = store.read(status_file(folder))
    rows = [row for row in found.get("workers", ()) if "elsewhere" not in row]
    alive = [row for row in rows if store.is_alive({**row, "pid": row.get("worker")})]
    if not found or (rows and not alive):
        return {}, float("inf")
    return found, time.monotonic() - float(found.pop("judged_at", 0.0))


class Judging:
    """One analysis of all figures that are in a folder.

    The lock of the folder is held for as long as it lives: were it or its worker killed, the kernel
    would give that back.
    """

    def __init__(self, folder: Path, descriptor: int) -> None:
        self._lock = descriptor
        try:
            self._analysis = Analysis([str(folder)], _LONGEST_SECONDS, keep_open=[descriptor])
        except OSError as error:
            self._give_back()
            raise LeaklabError(f"no analysis can be started: {error}; try again later") from None

    @classmethod
    def begin(cls, folder: Path) -> Judging | None:
        """Begin one; None while another worker's is under way. Raises LeaklabError."""
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
            descriptor = os.open(_lock_file(folder), flags, 0o600)
        except OSError as error:
            raise LeaklabError(store.no_room(error)) from None
        if store.claim(descriptor):
            return cls(folder, descriptor)
        os.close(descriptor)
        return None

    def is_over(self) -> bool:
        """Whether it has ended; one that takes too long is ended."""
        over = self._analysis.is_over()
        if over:
            self._give_back()
        return over

    @property
    def problem(self) -> str:
        """Why one that is over has judged nothing; "" where it has."""
        well = self._analysis.is_well
        return "" if well else f"the figures could not be judged: {self._analysis.reason}"

    def end(self) -> None:
        """End it with its worker."""
        self._analysis.end()
        self._give_back()

    def _give_back(self) -> None:
        if self._lock >= 0:
            store.give_back(self._lock)
            os.close(self._lock)
            self._lock = -1
