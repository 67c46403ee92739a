"""A file written whole or not at all; what stands in the way is told in one line."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from leaklab.errors import LeaklabError


def replace_whole(path: Path, content: str | bytes) -> None:
    """Put ``content`` in the place of a file in one step; OSError leaves what was there.

    What is no regular file (a pipe, /dev/stdout) cannot be replaced and is written to.
    """
    data = content.encode() if isinstance(content, str) else content
    target = path.resolve()  # behind a link is the file that was meant
    if target.exists() and not target.is_file():
        target.write_bytes(data)
        return
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o7777)
        temporary.replace(target)
    finally:
        with contextlib.suppress(OSError):  # the first error is the one to tell
            temporary.unlink(missing_ok=True)


def write_named(path: str | Path, content: str | bytes, what: str, way_out: str) -> Path:
    """Write a file and the folder it is to be in; return its path.

    Raises LeaklabError, which says that ``what`` cannot be written, why, and the ``way_out``.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_whole(target, content)
    except OSError as error:
        reason = error.strerror or error
        raise LeaklabError(f"cannot write {what}: {target}; {reason}; {way_out}") from None
    return target
