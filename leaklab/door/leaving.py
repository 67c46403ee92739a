"""What is removed of workers that end, and of services that were killed: only what is sure."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from leaklab.door import folder as store
from leaklab.errors import LeaklabError


def leave(folder: Path, pid: int) -> None:
    """Remove what the worker ``pid`` has left, and a folder of the door's own that is then empty.

    A folder that was named stays: whoever named it expects it there.
    """
    with contextlib.suppress(OSError):
        store.forget(folder, pid)
        with store.alone(folder) as mine:
            if mine and store.look_asked_for(folder).get("worker") == pid:
                (folder / store.LOCK).unlink(missing_ok=True)
        if store.is_unnamed(folder):
            folder.rmdir()  # not while another worker has left anything there


def sweep(folder: Path) -> None:
    """Remove the door's own folders beside ``folder`` in which no process is any more.

    Those of this user whose workers have all said that they run where this process runs, and have
    all ended. A service that just starts makes its folder anew, if it has to.
    """
    if not store.is_unnamed(folder):
        return
    with contextlib.suppress(OSError):
        for other in folder.parent.glob(f"{store.unnamed_prefix()}*"):
            if other != folder:
                with contextlib.suppress(OSError, LeaklabError):
                    store.check_private(other)
                    _remove_left(other)


def _remove_left(folder: Path) -> None:
    with store.alone(folder) as mine:
        if not mine:
            return
        workers = [store.read(path) for path in folder.glob("worker-*.json")]
        if not all(_has_ended(left) for left in workers):
            return
        for left in workers:
            store.forget(folder, left["pid"])
        (folder / store.LOCK).unlink(missing_ok=True)
        folder.rmdir()  # not where anything else is


def _has_ended(left: dict[str, Any]) -> bool:
    """Whether the process that has left this has ended for sure; one elsewhere may live."""
    pid, ticks, place = (left.get(name) for name in ("pid", "started_ticks", "place"))
    if (
        not isinstance(pid, int)
        or not isinstance(ticks, int)
        or place != store.place()
        or not place
    ):
        return False
    seen = store.started_ticks(pid)
    if seen is not None:
        return seen != ticks
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        pass
    return False
