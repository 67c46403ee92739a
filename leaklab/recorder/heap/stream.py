"""Live heaps of traced processes: connect, take exact snapshots, give stacks run-wide numbers."""

from __future__ import annotations

import array
import contextlib
import json
import posixpath
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaklab.errors import LeaklabError
from leaklab.probe.marker import marker_bytes
from leaklab.recorder.procfs import ProcessFiles

_READER = Path(__file__).with_name("reader.py")
# A reader that works uses the processor: one that has used none for so long hangs.
_STALL_SECONDS = 5.0
# What one that works may take beyond what it was asked to wait for. Ten million live blocks of a
# hundred thousand stacks: about 3 s to walk over them, about 10 s to compare and tell them.
_WALK_SECONDS = 60.0
# So often it is looked whether it works.
_LOOK_SECONDS = 0.5
_BLOCK_SIZE = 1 << 20

# memray's AllocatorType by number; written out because importing memray costs start-up time.
ALLOCATORS = {
    2: "pymalloc_malloc",
    3: "pymalloc_calloc",
    4: "pymalloc_realloc",
    6: "malloc",
    7: "realloc",
    8: "calloc",
    9: "posix_memalign",
    10: "aligned_alloc",
    11: "memalign",
    12: "valloc",
    13: "pvalloc",
    14: "mmap",
}


@dataclass(frozen=True)
class HeapSnapshot:
    """The live heap of one process at one moment.

    ``exact``: the marker was seen, so this is the heap at that mark to the byte.
    ``changed``: (stack_id, live_bytes, allocation_count) of every stack that changed since the
    process's last snapshot; zeros for one that vanished. ``cost_seconds``: how long the target's
    stream was held.
    """

    live_bytes: int
    allocation_count: int
    stack_count: int
    exact: bool
    cost_seconds: float
    changed: list[tuple[int, int, int]]


class SourcePaths:
    """Names files so that a run can be moved, shared and compared.

    ``working_folder`` is the target's own, ``standard_library`` its folder of stdlib modules.
    What lies in ``source_folder``, that of its script, is the target's wherever that is, even
    among installed packages. ``cells``: see RecordOptions.
    """

    def __init__(
        self,
        working_folder: str,
        standard_library: Sequence[str] = (),
        home: str | None = None,
        source_folder: str | None = None,
        cells: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._names: dict[str, tuple[str, str]] = {
            file: (cell[0], "target") for file, cell in (cells or {}).items()
        }
        folder = Path(source_folder).resolve() if source_folder else None
        self._source_folder = _with_slash(str(folder)) if folder else ""
        self._source_parent = _with_slash(str(folder.parent)) if folder else ""
        self._working_folder = _with_slash(str(Path(working_folder).resolve()))
        self._standard_library = [_with_slash(path) for path in standard_library if path]
        self._home = _with_slash(home or str(Path.home()))

    def name(self, file: str) -> tuple[str, str]:
        """Return (relative name, origin) of a file named in a stack frame."""
        found = self._names.get(file)
        if found is None:
            found = self._names[file] = self._find_name(file)
        return found

    def _find_name(self, file: str) -> tuple[str, str]:
        text = posixpath.normpath(file.replace("\\", "/"))
        if self._source_folder and text.startswith(self._source_folder):
            inside = text[len(self._source_folder) :]
            if "site-packages/" not in inside and "/lib/python3" not in inside:
                return self._name_of_source(text), "target"
        for folder in ("/site-packages/", "/dist-packages/"):
            if folder in text:
                return "site-packages/" + text.rsplit(folder, 1)[1], "site-packages"
        if text.startswith("<frozen "):
            return "stdlib/" + text[1:-1], "stdlib"
        for folder in self._standard_library:
            if text.startswith(folder):
                return "stdlib/" + text[len(folder) :], "stdlib"
        if match := re.match(r".*/lib/python3\.\d+/(.*)", text):
            return "stdlib/" + match[1], "stdlib"
        if not text.endswith((".py", ".pyw", ".ipynb")) and not text.startswith("<"):
            return text.rsplit("/", 1)[-1], "native"
        if text.startswith(self._working_folder):
            return text[len(self._working_folder) :], "target"
        if text.startswith(self._home):
            return "~/" + text[len(self._home) :], "target"
        return text, "target"

    def _name_of_source(self, text: str) -> str:
        if text.startswith(self._working_folder):
            return text[len(self._working_folder) :]
        # With the folder's own name, so that several scripts of one name stay apart.
        return text[len(self._source_parent) :]


class StackTable:
    """Numbers frames and stacks once for the whole run, whatever process they come from."""

    def __init__(self) -> None:
        self._frames: dict[tuple[str, str, int], int] = {}
        self._stacks: dict[tuple[str, tuple[int, ...]], int] = {}
        self._new_frames: list[tuple[int, str, str, int, str]] = []
        self._new_stacks: list[tuple[int, str, tuple[int, ...]]] = []
        #: file name in the run → file name on this machine, of the target's own files
        self.target_files: dict[str, str] = {}

    def add(self, allocator: str, frames: Sequence[Sequence[Any]], paths: SourcePaths) -> int:
        """Return the number of a stack; ``frames`` are (function, file, line), latest first."""
        return self.add_numbered(allocator, tuple(self.frame(*f, paths=paths) for f in frames))

    def add_numbered(self, allocator: str, frame_ids: tuple[int, ...]) -> int:
        """Return the number of a stack of frames that have their numbers."""
        key = (allocator, frame_ids)
        stack_id = self._stacks.get(key)
        if stack_id is None:
            stack_id = self._stacks[key] = len(self._stacks)
            self._new_stacks.append((stack_id, *key))
        return stack_id

    def frame(self, function: str, file: str, line: int, *, paths: SourcePaths) -> int:
        """Return the number of a frame."""
        name, origin = paths.name(file)
        key = (function, name, line)
        frame_id = self._frames.get(key)
        if frame_id is None:
            frame_id = self._frames[key] = len(self._frames)
            self._new_frames.append((frame_id, *key, origin))
            if origin == "target":
                self.target_files.setdefault(name, file)
        return frame_id

    def target_lines(self) -> dict[str, set[int]]:
        """Return the lines of the target's own files that appear in stacks."""
        lines: dict[str, set[int]] = {name: set() for name in self.target_files}
        for _, name, line in self._frames:
            if name in lines:
                lines[name].add(line)
        return lines

    def new_rows(self) -> dict[str, dict[str, list[Any]]]:
        """Return the rows added since the last call, by table and column, for the run's writer."""
        frames, self._new_frames = self._new_frames, []
        stacks, self._new_stacks = self._new_stacks, []
        return {
            "frames": {
                name: [row[place] for row in frames]
                for place, name in enumerate(("frame_id", "function", "file", "line", "origin"))
            },
            "stacks": {
                name: [row[place] for row in stacks]
                for place, name in enumerate(("stack_id", "allocator", "frame_ids"))
            },
        }


# A target on a busy machine is waited for so long.
_HEADER_SECONDS = 10.0


class _Patience:
    """Decides how much longer the reader is waited for.

    ``asked_seconds``: how long what it was asked for may take; ``idle_seconds``: how much of that
    it may spend waiting. Looks are counted, not seconds, so that a machine which was stopped for a
    while (suspended, or its control group frozen) does not make the reader look idle.
    """

    def __init__(self, files: ProcessFiles, asked_seconds: float, idle_seconds: float) -> None:
        self._files = files
        self._limit_seconds = asked_seconds + _WALK_SECONDS
        self._idle_look_limit = (idle_seconds + _STALL_SECONDS) / _LOOK_SECONDS
        self._begun = time.monotonic()
        self._idle_look_count = 0
        self._cpu_seconds: float | None = None

    def why_no_longer(self) -> str | None:
        """Say, after another look, why not to wait any longer; None while that makes sense."""
        before, self._cpu_seconds = self._cpu_seconds, self._files.cpu_seconds()
        # Where the processor time is not told, only the limit ends the waiting.
        idle = before is not None and before == self._cpu_seconds
        self._idle_look_count = self._idle_look_count + 1 if idle else 0
        if self._idle_look_count >= self._idle_look_limit:
            return f"it hangs, idle for {self._idle_look_count * _LOOK_SECONDS:g} s"
        if time.monotonic() - self._begun > self._limit_seconds:
            return f"it is still busy after {self._limit_seconds:g} s"
        return None


class HeapReader:
    """The process that reads the streams (see heap_reader.py) and the line to it.

    One for each explain pass. Killing the recorder leaves it reading until the targets are done.
    One that hangs is killed: what it does not read holds the targets up, without it they go on
    untraced. Whoever asks it later is told so at once.
    """

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the reader)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", "-P", str(_READER), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                start_new_session=True,
            )
        self._files = ProcessFiles(self._process.pid, even_if_gone=True)
        ours.settimeout(_LOOK_SECONDS)
        self._control = ours
        self._received = bytearray()
        self._heard_seconds = time.monotonic()
        self._why_lost: str | None = None
        self._stream_count = 0

    def open(
        self, port: int, stacks: StackTable, paths: SourcePaths, capture_path: Path | None = None
    ) -> HeapStream:
        """Connect to the stream a target serves on ``port``; call this once it listens.

        ``capture_path``: also write the stream there, as the plain capture file memray reads.
        """
        self._stream_count += 1
        stream = HeapStream(self, self._stream_count, stacks, paths)
        capture = str(capture_path) if capture_path else None
        request = {"op": "open", "stream": stream.number, "port": port, "capture_path": capture}
        # memray lets no other thread of the reader run while it waits for the stream's header.
        self.request(request, asked_seconds=_HEADER_SECONDS, idle_seconds=_HEADER_SECONDS)
        return stream

    @property
    def is_alive(self) -> bool:
        """Whether it can still be asked to read another stream."""
        return self._why_lost is None and self._process.poll() is None

    def request(
        self, message: dict[str, Any], *, asked_seconds: float = 0.0, idle_seconds: float = 0.0
    ) -> dict[str, Any]:
        """Send one request and return its reply; raises LeaklabError when the reader is lost.

        ``asked_seconds``: how long it was asked to wait for the target at most, and
        ``idle_seconds``: how much of that without a look.
        """
        if self._why_lost is not None:
            raise LeaklabError(self._why_lost)
        try:
            self._control.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            raise self._lost() from None
        return self.reply(asked_seconds, idle_seconds)

    def reply(self, asked_seconds: float = 0.0, idle_seconds: float = 0.0) -> dict[str, Any]:
        """Return the next reply of the reader; raises LeaklabError when there is none."""
        patience = _Patience(self._files, asked_seconds, idle_seconds)
        searched_size = 0
        while (size := self._received.find(b"\n", searched_size) + 1) == 0:
            searched_size = len(self._received)
            self._receive(patience)
        answer: dict[str, Any] = json.loads(self._cut(size))
        if answer.get("error"):
            raise LeaklabError(f"the heap stream cannot be read: {answer['error']}")
        return answer

    def payload(self, size: int) -> array.array[int]:
        """Return the raw integers that follow a reply; raises LeaklabError when it is lost."""
        patience = _Patience(self._files, asked_seconds=0.0, idle_seconds=0.0)
        while len(self._received) < size:
            self._receive(patience)
        numbers = array.array("q")
        numbers.frombytes(self._cut(size))
        return numbers

    def check(self) -> None:
        """Raise LeaklabError when the reader is lost, or does not answer any more."""
        if self._why_lost or time.monotonic() - self._heard_seconds >= _LOOK_SECONDS:
            self.request({"op": "ping"})

    def _receive(self, patience: _Patience) -> None:
        """Wait for more of a reply; raises LeaklabError when the reader is lost."""
        while True:
            try:
                block = self._control.recv(_BLOCK_SIZE)
                break
            except TimeoutError:
                why = patience.why_no_longer()
                if why is not None:
                    raise self._lost(why) from None
            except OSError:
                raise self._lost() from None
        if not block:
            raise self._lost()
        self._received += block
        self._heard_seconds = time.monotonic()

    def _cut(self, size: int) -> bytes:
        block = bytes(self._received[:size])
        del self._received[:size]
        return block

    def _lost(self, why: str | None = None) -> LeaklabError:
        """Give the reader up; ``why`` where it still runs, else its last word says how it ended."""
        self._control.close()
        if why is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=1.0)
            self._errors.seek(0)
            words = self._errors.read().decode("utf-8", "replace").strip().splitlines()
            how = f"exit status {self._process.returncode}"
            text = f"the heap reader is gone: {' | '.join(words) if words else how}"
        else:
            text = f"the heap reader does not answer: {why}"
        self._process.kill()
        self._why_lost = f"{text}; record again"
        return LeaklabError(self._why_lost)

    def close(self) -> None:
        """End the reader process; harmless when it is gone."""
        self._control.close()
        try:
            self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._files.close()
        self._errors.close()


class HeapStream:
    """The live heap of one traced process."""

    def __init__(
        self, reader: HeapReader, number: int, stacks: StackTable, paths: SourcePaths
    ) -> None:
        self.number = number
        self.active = True
        self._reader = reader
        self._stacks = stacks
        self._paths = paths
        self._stack_ids: list[int] = []
        self._frame_ids: list[int] = []
        self._taken: dict[str, Any] = {}

    def connect(self, timeout_seconds: float) -> int | None:
        """Wait until the stream's header has come; returns the pid it names, None on timeout."""
        request = {"op": "wait", "stream": self.number, "timeout_seconds": timeout_seconds}
        # What waits in the reader is a thread that sleeps until the header is there.
        pid = self._reader.request(
            request, asked_seconds=timeout_seconds, idle_seconds=timeout_seconds
        )["pid"]
        return int(pid) if pid is not None else None

    def take(self, barrier_number: int | None, timeout_seconds: float) -> None:
        """Hold the heap still in the reader; after that the target may go on."""
        size = None if barrier_number is None else marker_bytes(barrier_number)
        self._taken = self._reader.request(
            {
                "op": "snapshot",
                "stream": self.number,
                "marker_bytes": size,
                "timeout_seconds": timeout_seconds,
            },
            asked_seconds=timeout_seconds,
        )
        self.active = self._taken["active"]

    def finish(self) -> HeapSnapshot:
        """Return what the last ``take`` held, as changes since the snapshot before."""
        found = self._reader.reply()
        new_stacks = self._reader.payload(found["stacks_size"])
        triples = iter(self._reader.payload(found["changed_size"]))
        for frame in found["frames"]:
            self._frame_ids.append(self._stacks.frame(*frame, paths=self._paths))
        self._add_stacks(new_stacks)
        changed = [
            (self._stack_ids[local_id], size, count)
            for local_id, size, count in zip(triples, triples, triples, strict=True)
        ]
        return HeapSnapshot(
            live_bytes=found["live_bytes"],
            allocation_count=found["allocation_count"],
            stack_count=found["stack_count"],
            exact=self._taken["exact"],
            cost_seconds=self._taken["cost_seconds"],
            changed=changed,
        )

    def check(self) -> None:
        """Raise LeaklabError when nobody reads this stream any more."""
        self._reader.check()

    def _add_stacks(self, flat: array.array[int]) -> None:
        place = 0
        while place < len(flat):
            allocator, length = flat[place], flat[place + 1]
            frames = flat[place + 2 : place + 2 + length]
            frame_ids = tuple(map(self._frame_ids.__getitem__, frames))
            name = ALLOCATORS.get(allocator, str(allocator))
            self._stack_ids.append(self._stacks.add_numbered(name, frame_ids))
            place += 2 + length

    def close(self) -> None:
        """Stop reading this stream; harmless when the reader is gone."""
        self.active = False
        with contextlib.suppress(LeaklabError):
            self._reader.request({"op": "close", "stream": self.number})


def _with_slash(path: str) -> str:
    return path.replace("\\", "/").rstrip("/") + "/"
