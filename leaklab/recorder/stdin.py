"""What the target reads: the same in each pass."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from leaklab.recorder.options import RecordOptions

_RELAY = Path(__file__).with_name("stdin_relay.py")


class Stdin:
    """This process's standard input for each pass, or none.

    A file is read again from where it was. Of a pipe ``copy_path`` gets a copy while the first
    pass reads, which the later ones are given. A terminal cannot be asked twice for the same.
    """

    def __init__(self, options: RecordOptions, copy_path: Path) -> None:
        self._inherits = options.stdin == "inherit"
        self._copy_path = copy_path
        self._relay: subprocess.Popen[bytes] | None = None
        self._was_used = False
        self._offset: int | None = None
        self._is_pipe = False
        if self._inherits:
            with contextlib.suppress(OSError):
                self._is_pipe = len(options.passes) > 1 and _is_pipe(os.fstat(0).st_mode)
                self._offset = os.lseek(0, 0, os.SEEK_CUR)

    @contextlib.contextmanager
    def for_pass(self) -> Iterator[int | None]:
        """Give what to start the next pass with, as Popen takes it."""
        first, self._was_used = not self._was_used, True
        if not self._inherits:
            yield subprocess.DEVNULL
        elif self._is_pipe and first:
            ours, theirs = os.pipe()
            with os.fdopen(ours), os.fdopen(theirs, "wb"):
                self._relay = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(_RELAY), str(self._copy_path)],
                    stdout=theirs,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
                yield ours
        elif self._is_pipe:
            path = Path(os.devnull) if self.is_lost else self._copy_path
            with path.open("rb") as copy:
                yield copy.fileno()
        else:
            if self._offset is not None and not first:
                os.lseek(0, self._offset, os.SEEK_SET)
            yield None

    def end_pass(self) -> None:
        """Stop reading: what the target has not asked for is not its input."""
        if self._relay is not None:
            self._relay.kill()
            self._relay.wait()
            self._relay = None

    @property
    def is_lost(self) -> bool:
        """Whether a later pass would have to do without: there was no room for the copy."""
        return self._is_pipe and self._was_used and not self._copy_path.exists()

    @property
    def size_bytes(self) -> int:
        """Disk space the copy takes."""
        try:
            return self._copy_path.stat().st_size
        except OSError:
            return 0

    def close(self) -> None:
        """Remove the copy."""
        self.end_pass()
        self._copy_path.unlink(missing_ok=True)


def _is_pipe(mode: int) -> bool:
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
