"""The private folder in which the workers of one service leave their figures and requests."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from leaklab.errors import LeaklabError

FOLDER_VARIABLE = "LEAKLAB_DOOR_FOLDER"
# Of the one thread that a worker has for its door.
THREAD_NAME = "leaklab-door"
# A look that was begun so long ago is over, whatever became of it.
LOOK_SECONDS = 120.0
LOCK = "look.lock"
FINAL_STATES = ("complete", "failed", "refused")


def service_folder(given: str | None = None) -> Path:
    """Return the folder that the workers of this service share, made if it is not there.

    Named by ``given``, $LEAKLAB_DOOR_FOLDER, or by what workers have in common: their parent, their
    command line and their user. Raises LeaklabError for one that others may write into.
    """
    named = given or os.environ.get(FOLDER_VARIABLE)
    if named:
        path = Path(named)
    else:
        known = f"{os.getppid()} {os.getuid()} {sys.argv}".encode()
        name = f"{unnamed_prefix()}{hashlib.sha256(known).hexdigest()[:16]}"
        path = Path(tempfile.gettempdir()) / name
    make(path)
    return path


def unnamed_prefix() -> str:
    """Return how the name of a folder of this user's begins that nobody has named."""
    return f"leaklab-door-{os.getuid()}-"


def is_unnamed(folder: Path) -> bool:
    """Return whether a folder is the door's own, that nobody has named."""
    own = folder.parent == Path(tempfile.gettempdir())
    return own and folder.name.startswith(unnamed_prefix())


def make(path: Path) -> None:
    """Make a private folder if it is not there; raises LeaklabError for one that is not private."""
    for is_last in (False, True):
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700, parents=True)
        try:
            check_private(path)
            return
        except FileNotFoundError:  # the last worker before has left it meanwhile
            if is_last:
                raise


def check_private(path: Path) -> None:
    """Raise LeaklabError for a folder that others may write into, or that is none."""
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise LeaklabError(f"not a private folder: {path}; give one of yours with mode 700")


def write(path: Path, content: dict[str, Any]) -> bool:
    """Write a JSON file whole or not at all; returns False where a full disk has lost it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "w", encoding="utf-8", opener=_private) as file:
            file.write(json.dumps(content))
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        return False
    return True


def read(path: Path) -> dict[str, Any]:
    """Read a JSON file; empty where there is none, or it is no object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def workers(folder: Path) -> dict[int, dict[str, Any]]:
    """Return what each living worker has left, by process id; forget those that have gone."""
    found = {}
    for path in sorted(folder.glob("worker-*.json")):
        content = read(path)
        pid = content.get("pid")
        if isinstance(pid, int) and _is(pid, content.get("started_ticks")):
            found[pid] = content
        else:
            forget(folder, path.stem.removeprefix("worker-"))
    return found


def forget(folder: Path, pid: int | str) -> None:
    """Remove what a worker has left."""
    for left in folder.glob(f"*-{pid}.*"):
        left.unlink(missing_ok=True)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Yield whether no other process or thread is in here for this folder at the moment.

    Nobody is waited for. Where the file system has no locks, everybody is alone.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield False
        return
    held = True
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held = False
        except OSError:
            pass
        yield held
    finally:
        if held:
            with contextlib.suppress(OSError):  # a child that was forked meanwhile has it as well
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def begin_look(folder: Path, pid: int) -> bool:
    """Ask ``pid`` for the one look that may be under way in a service; False while another is.

    A look is over once it is answered. One whose worker has gone is over too, and so is one that
    was begun too long ago: also by a clock that was set back since.
    """
    lock = folder / LOCK
    result = folder / f"graph-{pid}.json"
    with alone(folder) as mine:
        if not mine or _is_under_way(folder):
            return False
        try:
            lock.unlink(missing_ok=True)
            with open(lock, "x", encoding="ascii", opener=_private) as claimed:
                json.dump({"worker": pid, "asked": time.time_ns()}, claimed)
            write(result, {"state": "asked"})
            if is_final(read(result)):  # on a full disk: the answer before is not that to this
                result.unlink()
        except OSError:
            with contextlib.suppress(OSError):
                lock.unlink()
            return False
        write(folder / f"request-{pid}.json", {"asked": time.time()})
    return True


def _is_under_way(folder: Path) -> bool:
    lock = folder / LOCK
    try:
        begun = lock.stat().st_mtime
    except OSError:
        return False
    if abs(time.time() - begun) > LOOK_SECONDS:
        return False
    worker = read(lock).get("worker")
    if worker is None:
        return True
    return worker in workers(folder) and not is_final(read(folder / f"graph-{worker}.json"))


def is_final(result: dict[str, Any]) -> bool:
    """Return whether what is left of a look is its answer."""
    return result.get("state") in FINAL_STATES


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def look_asked_for(folder: Path) -> dict[str, Any]:
    """Return what tells the look that was asked for last from all others."""
    return read(folder / LOCK)


def end_look(folder: Path, look: dict[str, Any]) -> None:
    """Let the next look begin though none has answered ``look``: a full disk took the answer."""
    with alone(folder) as mine:
        if mine and look and look_asked_for(folder) == look:
            (folder / LOCK).unlink(missing_ok=True)


def started_ticks(pid: int) -> int | None:
    """Return when a process began, in the kernel's ticks: with the id, its only sure name."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return int(text.rpartition(")")[2].split()[19])


def place() -> str | None:
    """Return what tells where process ids mean the same: the start of the machine, the container.

    None where that cannot be known.
    """
    try:
        start = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{start} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


def _is(pid: int, ticks: object) -> bool:
    return started_ticks(pid) == ticks is not None
