"""The process that hands a pipe's input to the target of the first pass, and keeps a copy.

A process of its own, so that a target whose recorder was killed still gets all of its input. Run
as a file with the path of the copy; standard library only.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
from pathlib import Path

BLOCK_SIZE = 1 << 16


def relay(copy_path: str) -> None:
    """Copy standard input to standard output until either ends, and to ``copy_path``.

    Where the copy cannot be written it is removed: a part of the input would be another input.
    """
    copy: int | None = os.open(copy_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    waiting = select.poll()
    waiting.register(0, select.POLLIN)
    waiting.register(1, 0)  # wakes up when nobody reads any more
    while not any(descriptor == 1 for descriptor, _ in waiting.poll()):
        block = os.read(0, BLOCK_SIZE)
        if not block:
            return
        if copy is not None:
            try:
                _write(copy, block)
            except OSError:
                copy = None
                Path(copy_path).unlink()
        _write(1, block)


def _write(descriptor: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(descriptor, view) :]


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        relay(sys.argv[1])
