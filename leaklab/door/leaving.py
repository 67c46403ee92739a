"""What is removed of workers that end, and of services that were killed: only what is sure."""

from __future__ import annotations

import contextlib
from pathlib import Path

from leaklab.door import folder as store
from leaklab.door import judging
from leaklab.errors import LeaklabError


def leave(folder: Path, pid: int) -> None:
    """Remove what the worker ``pid`` has left, and a folder of the door's own that is then empty.

    A folder that was named stays: whoever named it expects it there.
    """
    with contextlib.suppress(OSError):
        store.forget(folder, pid)
        with store.alone(folder) as mine:
            asked = store.look_asked_for(folder)
            if mine and (asked.get("worker"), asked.get("tag")) == (pid, store.place_tag()):
                (folder / store.LOCK).unlink(missing_ok=True)
        if not store.workers(folder):  # each has forgotten itself before it looks
            judging.forget(folder)
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
        if not all(store.has_ended(left) for left in workers):
            return
        for left in workers:
            store.forget(folder, left["pid"])
        judging.forget(folder)
        (folder / store.LOCK).unlink(missing_ok=True)
        folder.rmdir()  # not where anything else is
