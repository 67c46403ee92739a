"""The private folder in which the workers of one service leave their figures and requests."""

from __future__ import annotations

import contextlib
import errno
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
# Who wants the folder's lock tries so often, so far apart: others have it for a moment.
_CLAIM_COUNT, _CLAIM_SECONDS = 20, 0.005
FINAL_STATES = ("complete", "failed", "refused")
FULL = (errno.ENOSPC, errno.EDQUOT)


def service_folder(given: str | None = None) -> Path:
    """Return the folder that the workers of this service share, made if it is not there.

    Named by ``given``, $LEAKLAB_DOOR_FOLDER, or by what workers have in common: their parent, their
    command line and their user. Raises LeaklabError for one that others may write into.
    """
    named = named_folder(given)
    if named:
        path = Path(named)
    else:
        known = f"{os.getppid()} {os.getuid()} {sys.argv}".encode()
        name = f"{unnamed_prefix()}{hashlib.sha256(known).hexdigest()[:16]}"
        path = Path(tempfile.gettempdir()) / name
    make(path)
    return path


def named_folder(given: str | None) -> str | None:
    """Return the folder that somebody has named, by a path that holds wherever a daemon goes."""
    named = given or os.environ.get(FOLDER_VARIABLE)
    return str(Path(named).absolute()) if named else None


def left_file(
    folder: Path, kind: str, pid: int, suffix: str = "json", tag: str | None = None
) -> Path:
    """Return the file of one kind of the worker ``pid`` in the place of ``tag``, by default here.

    Two containers that share a folder may each have a worker of this number.
    """
    return folder / f"{kind}-{pid}-{tag or place_tag()}.{suffix}"


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


def write(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file whole or not at all; raises OSError where a full disk has lost it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "w", encoding="utf-8", opener=_private) as file:
            file.write(json.dumps(content))
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def write_last(path: Path, content: dict[str, Any]) -> None:
    """Write what is little, also on a full disk if what was there has left it room."""
    with contextlib.suppress(OSError):
        try:
            write(path, content)
        except OSError:
            path.unlink(missing_ok=True)
            write(path, content)


def no_room(error: OSError, where: Path | str = "the door's folder") -> str:
    """Return in words that nothing can be left in a folder, and what to do."""
    way_out = "free some space" if error.errno in FULL else "give one that can be written to"
    why = error.strerror or str(error)
    return f"nothing can be written to {where}: {why}; {way_out}, then ask again"


def read(path: Path) -> dict[str, Any]:
    """Read a JSON file; empty where there is none, or it is no object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def workers(folder: Path) -> dict[int, dict[str, Any]]:
    """Return what each living worker of this place has left, by process id.

    What those that have gone have left is removed; whoever is elsewhere is left alone.
    """
    found = {}
    for path in sorted(folder.glob(f"worker-*-{place_tag()}.json")):
        content = read(path)
        if is_alive(content):
            found[content["pid"]] = content
        elif has_ended(content):
            forget(folder, content["pid"])
    return found


def workers_elsewhere(folder: Path) -> list[tuple[dict[str, Any], float]]:
    """Return what workers of other containers or machines have left, and its age in seconds.

    Whether they live cannot be told from here.
    """
    found = []
    for path in sorted(folder.glob("worker-*.json")):
        if not path.stem.endswith(f"-{place_tag()}"):
            with contextlib.suppress(OSError):
                age = max(time.time() - path.stat().st_mtime, 0.0)
                content = read(path)
                if content and (place() is None or content.get("place") != place()):
                    found.append((content, age))
    return found


def forget(folder: Path, pid: int | str) -> None:
    """Remove what a worker of this place has left."""
    for left in folder.glob(f"*-{pid}-{place_tag()}.*"):
        left.unlink(missing_ok=True)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Yield whether no other process or thread is in here for this folder at the moment.

    Nobody is waited for. Where the file system has no locks, everybody is alone. Raises OSError
    for a folder that cannot be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    held = True
    try:
        held = claim(descriptor)
        yield held
    finally:
        if held:
            give_back(descriptor)
        os.close(descriptor)


def claim(descriptor: int) -> bool:
    """Lock an open file or folder, if nobody else has; nobody is waited for."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        pass
    return True


def give_back(descriptor: int) -> None:
    """Unlock what was claimed, also for a child that was forked meanwhile and has it as well."""
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def begin_look(folder: Path, pid: int) -> bool:
    """Ask ``pid`` for the one look that may be under way in a service; False while another is.

    A look is over once it is answered. One whose worker has gone is over too, and so is one that
    was begun too long ago: also by a clock that was set back since. Raises OSError where nothing
    can be written.
    """
    for _ in range(_CLAIM_COUNT):
        # Who has it for a moment may be a worker whose look is answered, and over.
        with alone(folder) as mine:
            if mine:
                return _began_look(folder, pid)
        time.sleep(_CLAIM_SECONDS)
    return False


def _began_look(folder: Path, pid: int) -> bool:
    lock, result = folder / LOCK, left_file(folder, "graph", pid)
    if _is_under_way(folder):
        return False
    try:
        lock.unlink(missing_ok=True)
        with open(lock, "x", encoding="ascii", opener=_private) as claimed:
            json.dump({"worker": pid, "tag": place_tag(), "asked": time.time_ns()}, claimed)
        write(result, {"state": "asked"})
        write(left_file(folder, "request", pid), {"asked": time.time()})
    except OSError:
        with contextlib.suppress(OSError):
            lock.unlink(missing_ok=True)
            if not is_final(read(result)):
                result.unlink(missing_ok=True)
        raise
    return True


def _is_under_way(folder: Path) -> bool:
    lock = folder / LOCK
    try:
        begun = lock.stat().st_mtime
    except OSError:
        return False
    if abs(time.time() - begun) > LOOK_SECONDS:
        return False
    asked = look_asked_for(folder)
    worker, tag = asked.get("worker"), asked.get("tag")
    if worker is None or tag is None:
        return True
    if is_final(read(left_file(folder, "graph", worker, tag=tag))):
        return False
    return tag != place_tag() or worker in workers(folder)


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
    with contextlib.suppress(OSError), alone(folder) as mine:
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

    None where that cannot be known, or /proc numbers processes in another way than this one does.
    """
    try:
        same = str(Path("/proc/self").readlink()) == str(os.getpid())
    except OSError:
        return None
    return _place() if same else None


def _place() -> str | None:
    try:
        start = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{start} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


def place_tag() -> str:
    """Return what tells the files of this place from those of another that shares the folder."""
    return hashlib.sha256(str(_place()).encode()).hexdigest()[:8]


def is_alive(left: dict[str, Any]) -> bool:
    """Return whether the process of this place that has left this is still that one."""
    pid, ticks = left.get("pid"), left.get("started_ticks")
    return isinstance(pid, int) and ticks is not None and started_ticks(pid) == ticks


def has_ended(left: dict[str, Any]) -> bool:
    """Return whether the process that has left this has ended for sure; one elsewhere may live."""
    pid, ticks = left.get("pid"), left.get("started_ticks")
    if not isinstance(pid, int) or not isinstance(ticks, int):
        return False
    if not left.get("place") or left["place"] != place():
        return False
    seen = started_ticks(pid)
    if seen is not None:
        return seen != ticks
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        pass
    return False
