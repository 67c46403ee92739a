"""What a reader of a format is given, and what it hands back."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from leaklab.errors import LeaklabError, UsageError
from leaklab.importers.cut_end import TAIL_BYTES, FirstBytes, cut_bytes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Is told a file's name, how many of its bytes were read, and how many there are.
Progress = Callable[[str, int, int], None]
HEAD_BYTES = 1 << 16
_GZIP = b"\x1f\x8b"
# Characters that no text has, beyond a few that got in by mistake.
_STRANGE = "\ufffd\x01\x02\x03\x04\x05\x06\x0e\x0f\x10\x11\x12\x13\x14\x15\x16"
LARGEST_STRANGE_SHARE = 0.02
# Excel's word for what separates the cells; Grafana writes it, too.
_SEPARATOR = re.compile(rb"(?:\xef\xbb\xbf)?\"?sep=([^\r\n])\"?\r?\n")
_PART_BYTES = 1 << 20
_HOLE = re.compile(rb"\0+")


@dataclass(frozen=True)
class Options:
    """What the user says of a file: the options of ``leaklab import``.

    time, values ("COL" or "COL=resource"), group: columns. unit: of the figures judged ("MiB").
    line: regular expression for log lines. trust_pickle: whether a pickle may be loaded, which
    runs what is in it.
    """

    time: str | None = None
    values: tuple[str, ...] = ()
    unit: str | None = None
    group: str | None = None
    line: str | None = None
    trust_pickle: bool = False

    @property
    def columns(self) -> tuple[str | None, ...]:
        """The columns that are named; None for an option that was not given."""
        return self.time, self.group, *(text.partition("=")[0] for text in self.values)


class Source:
    """One file: its first bytes and its content, unpacked where it is a gzip, UTF-16 as UTF-8.

    A first line ``sep=;`` is none of the content; ``separator`` is what it says, else None. Nor are
    the zeros in a text whose file was cut while it was written (logrotate's copytruncate).
    cut_line_count: lines of the text that were lost with that. has_cut_end: a last line was left
    out, as its writer had not come to its end.
    """

    def __init__(self, path: Path, progress: Progress | None = None) -> None:
        self.path = path
        self._progress = progress
        self.zipped = self.wide = False
        self.separator: str | None = None
        self.cut_line_count = 0
        self.has_cut_end = False
        self._skipped_bytes = 0
        with path.open("rb") as file:
            self.zipped = file.read(2) == _GZIP
        try:
            with self._unpacked() as file:
                self.head = first = file.read(HEAD_BYTES)
                while self.head and not self.head.strip(b"\0"):
                    self._skipped_bytes += len(self.head)
                    self.head = file.read(HEAD_BYTES)
            if not self.head:
                self.head, self._skipped_bytes = first, 0
            self._cut = len(self.head) == HEAD_BYTES
            self.wide = _is_utf16(self.head)
            if self.wide:
                with self.open() as file:
                    self.head = file.read(HEAD_BYTES)
            if said := _SEPARATOR.match(self.head):
                self.separator = said[1].decode("latin-1")
                self._skipped_bytes += said.end()
                self.head = self.head[said.end() :]
            if b"\0" in self.head and not self.is_binary:
                self.head, _ = _without_zeros(self.head)
        except (OSError, EOFError, zlib.error) as error:
            raise LeaklabError(f"cannot be read: {path}; {error}; copy it again") from None

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open the content."""
        with self._unpacked() as file:
            whole = (
                io.BytesIO(file.read().decode("utf-16", "replace").encode()) if self.wide else file
            )
            whole.seek(self._skipped_bytes)
            yield whole

    @contextmanager
    def open_text(self, *, of_lines: bool) -> Iterator[BinaryIO]:
        """Open the content of a text without the zeros in it; ``of_lines``: or a last one cut."""
        has_zeros, size_bytes, tail = self._looked_through
        with self.open() as file:
            if has_zeros:
                text, self.cut_line_count = _without_zeros(file.read())
                file, size_bytes, tail = io.BytesIO(text), len(text), text[-TAIL_BYTES:]
            cut = cut_bytes(tail) if of_lines else 0
            self.has_cut_end = cut > 0
            yield io.BufferedReader(FirstBytes(file, size_bytes - cut, self._told), _PART_BYTES)

    def _told(self, done_bytes: int, size_bytes: int) -> None:
        if self._progress is not None:
            self._progress(self.path.name, done_bytes, size_bytes)

    @cached_property
    def _looked_through(self) -> tuple[bool, int, bytes]:
        """Whether there are zeros in a text, its size, and its end."""
        has_zeros, size_bytes, tail = False, 0, b""
        with self.open() as file:
            for part in iter(lambda: file.read(_PART_BYTES), b""):
                has_zeros = has_zeros or b"\0" in part
                size_bytes += len(part)
                tail = (tail + part)[-TAIL_BYTES:]
        return has_zeros and not self.is_binary, size_bytes, tail

    @contextmanager
    def _unpacked(self) -> Iterator[BinaryIO]:
        if self.zipped:
            with gzip.open(self.path, "rb") as unpacked:
                yield unpacked  # type: ignore[misc]
            return
        with self.path.open("rb") as file:
            yield file

    @cached_property
    def text(self) -> str:
        """The whole content as text."""
        return self._text(of_lines=False)

    @cached_property
    def text_of_lines(self) -> str:
        """The content as text, without a last line that was cut while it was written."""
        return self._text(of_lines=True)

    def _text(self, *, of_lines: bool) -> str:
        with self._content(of_lines=of_lines) as file:
            return file.read().decode(self.encoding, "replace")

    def lines(self, *, of_lines: bool) -> Iterator[str]:
        """Yield the lines one by one, of a text of any length; ``of_lines``: without a cut last."""
        with self._decoded(of_lines=of_lines) as text:
            yield from text

    def parts(self) -> Iterator[str]:
        """Yield a text of any length in parts: it may be one line."""
        with self._decoded(of_lines=False) as text:
            while part := text.read(_PART_BYTES):
                yield part

    @contextmanager
    def _decoded(self, *, of_lines: bool) -> Iterator[io.TextIOWrapper]:
        encoding = self.encoding
        with self._content(of_lines=of_lines) as file:
            yield io.TextIOWrapper(file, encoding, "replace")

    @contextmanager
    def _content(self, *, of_lines: bool) -> Iterator[BinaryIO]:
        """Open it as :meth:`open_text` does; LeaklabError where it cannot be read to its end."""
        try:
            with self.open_text(of_lines=of_lines) as file:
                yield file
        except (OSError, EOFError, zlib.error) as error:
            raise LeaklabError(f"cannot be read: {self.path}; {error}; copy it again") from None

    @cached_property
    def encoding(self) -> str:
        """UTF-8, or what Excel writes in Western Europe where the content is no UTF-8.

        Raises LeaklabError where it cannot be read to its end.
        """
        if b"\0" in self.head:
            return "utf-8-sig"
        decoder = codecs.getincrementaldecoder("utf-8")("strict")
        part = b""
        try:
            with self.open() as file:
                while part := file.read(_PART_BYTES):
                    decoder.decode(part)
        except UnicodeDecodeError:
            # A log may have a damaged character among good ones.
            text = part.decode("utf-8", "replace")
            damaged = text.count("\ufffd")
            good = sum(not char.isascii() for char in text) - damaged
            return "cp1252" if damaged > good else "utf-8-sig"
        except (OSError, EOFError, zlib.error) as error:
            raise LeaklabError(f"cannot be read: {self.path}; {error}; copy it again") from None
        return "utf-8-sig"

    @cached_property
    def is_binary(self) -> bool:
        """Whether the first bytes are no text."""
        # However long a hole in a text is, it is one.
        text = _HOLE.sub(b"\0", self.head).decode(self.encoding, "replace")
        strange = sum(text.count(char) for char in (*_STRANGE, "\0"))
        return text == "\0" or strange > LARGEST_STRANGE_SHARE * len(text)

    @cached_property
    def first_lines(self) -> list[str]:
        """The first lines as text; none of a binary. The last, which may be cut, only if alone."""
        if self.is_binary:
            return []
        lines = self.head.decode(self.encoding, "replace").splitlines()
        return lines[:-1] if self._cut and len(lines) > 1 else lines

    @property
    def first_line(self) -> str:
        """The first line that is neither empty nor a comment. Raises UsageError where none is."""
        lines = (line for line in self.first_lines if line.strip() and line[0] != "#")
        line = next(lines, None)
        if line is None:
            raise refuse(self.path, "no lines of text", "it is binary, or damaged: export it again")
        return line


def _without_zeros(content: bytes) -> tuple[bytes, int]:
    """A text without zeros, and of how many lines the rest is lost with them.

    Who goes on to write where the file was cut leaves a hole before a line, which is whole; in the
    midst of one nothing tells what was there.
    """
    lines = [line.strip(b"\0") for line in content.split(b"\n")]
    whole = [line for line in lines if b"\0" not in line]
    return b"\n".join(whole), len(lines) - len(whole)


def _is_utf16(head: bytes) -> bool:
    """Whether text is in UTF-16, as PowerShell writes it: its mark, and zeros for a half."""
    return head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and (
        head.count(b"\0") > len(head) / 4
    )


@dataclass(frozen=True)
class Series:
    """One figure of one process: name as leaklab names resources; seconds or marks, and values.

    seconds are from the start of the file; marks are how many units of work had ended (None where
    the file does not say).
    """

    name: str
    seconds: Floats
    values: Floats
    marks: Floats | None = None


@dataclass(frozen=True)
class Member:
    """One process, pod or container; one life of it where the file tells restarts."""

    role: str
    series: tuple[Series, ...]
    pid: int | None = None
    argv: tuple[str, ...] = ()


@dataclass
class Reading:
    """What a file was understood to be.

    title: the format in words. understood: what was read as what, for the user. started: epoch
    seconds of second 0, None where the file has no such times. judged: resources the verdict rests
    on where none is one of leaklab's own. cautions: what a resource holds besides, by name, and
    what to export instead. siblings: the members are replicas of one service. limits: as in
    run.json; role_limits: that of each role on its memory, by name. timed: False where the seconds
    are made up, to keep the order of units of work. restarts_told: the file says when a process was
    replaced, and it may be never. work: the column that likely counts work done, "" for none.
    only: what the file calls its only process, whose role is "main"; "" where it does not.
    """

    title: str
    understood: str
    members: list[Member]
    started: float | None = None
    notes: list[str] = field(default_factory=list)
    judged: tuple[str, ...] = ()
    cautions: dict[str, str] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    role_limits: dict[str, float] = field(default_factory=dict)
    siblings: bool = False
    tables: dict[str, Any] = field(default_factory=dict)
    timed: bool = True
    restarts_told: bool = False
    work: str = ""
    only: str = ""


def refuse(path: Path, what: str, way_out: str) -> UsageError:
    """Return the error that names what a file is and what to do."""
    return UsageError(f"{what}: {path}; {way_out}")


def check_asked(names: list[str], asked: Iterable[str | None], path: Path) -> None:
    """Raise UsageError for a column that an option names and that is not there."""
    for name in asked:
        if name is not None and name not in names:
            raise UsageError(f"no column {name}: {path}; there are {', '.join(names[:20])}")
