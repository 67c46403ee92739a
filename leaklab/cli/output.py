"""stdout of the command line: no traceback over a character it has not, nor over a full disk.

Whoever reads it may have had enough (``leaklab show … | head``): the work goes on, and the exit
status says what came of it, which a gate rests on.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO

from leaklab.errors import LeaklabError

_HANDLER = "leaklab.output"


class OutputError(LeaklabError, OSError):
    """Output could not be written; an OSError too, for those who look out for one."""


class Output(io.TextIOWrapper):
    """A text stream that says in leaklab's own words what became of it.

    ``failed``: the last error of writing, also where the caller took no notice, as argparse does.
    """

    failed: OSError | None = None
    # Whether nobody reads it any more: the rest goes nowhere.
    is_unread = False

    def write(self, text: str, /) -> int:
        """Write text."""
        with self._named():
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """Write what was held back."""
        with self._named():
            super().flush()

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            self.is_unread = True
            give_up(self)
        except OSError as error:
            said = f"cannot write the output: {error.strerror or error}"
            self.failed = OutputError(said)
            raise self.failed from None


def _replaced(error: UnicodeError) -> tuple[bytes, int]:
    """What an encoding has no character for as ?; bytes of a file's name as they are there."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    part = error.object[error.start : error.end]
    codes = (ord(char) - 0xDC00 if "\udc80" <= char <= "\udcff" else ord("?") for char in part)
    return bytes(codes), error.end


def take_over() -> None:
    """Make the process's stdout an `Output`; what a target prints never goes through it."""
    stream = sys.stdout
    if type(stream) is not io.TextIOWrapper:
        return
    codecs.register_error(_HANDLER, _replaced)
    encoding, lines, through = stream.encoding, stream.line_buffering, stream.write_through
    sys.stdout = Output(
        stream.detach(), encoding, _HANDLER, "\n", line_buffering=lines, write_through=through
    )
    # It has no buffer any more, and who asks for it means this process's output.
    sys.__stdout__ = sys.stdout  # type: ignore[misc]


def flush() -> None:
    """Write what is still held back, here, where an error can be told: not at the very end."""
    if sys.stdout is not None:
        sys.stdout.flush()
        if failed := getattr(sys.stdout, "failed", None):
            raise failed


def is_unread() -> bool:
    """Whether who read the output has gone: a command without an end of its own ends then."""
    return getattr(sys.stdout, "is_unread", False)


def give_up(stream: TextIO) -> None:
    """Send the rest of a stream nowhere: the interpreter's own last try would fail, too."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
