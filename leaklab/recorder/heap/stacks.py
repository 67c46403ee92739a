"""Gives frames, files and stacks the numbers and names they have in the whole run."""

from __future__ import annotations

import posixpath
import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
# leaklab's own modules, whatever of it is installed or checked out; its cases are targets.
_OWN_FOLDER = f"{Path(__file__).resolve().parents[2]}/"
_CASES_FOLDER = f"{_OWN_FOLDER}cases/"
# What memray calls the file of a native frame without debug information.
UNKNOWN_FILE = "<unknown>"


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
        if text.startswith(_OWN_FOLDER) and not text.startswith(_CASES_FOLDER):
            # Named alike where it is installed and where it is checked out.
            return f"site-packages/leaklab/{text[len(_OWN_FOLDER) :]}", "leaklab"
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
        source = text.endswith((".py", ".pyw", ".ipynb")) or text.startswith("<")
        if text == UNKNOWN_FILE or not source:
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
    """Numbers frames and stacks once for the whole run, whatever process they come from.

    The threads of a recorder share it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
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
        with self._lock:
            stack_id = self._stacks.get(key)
            if stack_id is None:
                stack_id = self._stacks[key] = len(self._stacks)
                self._new_stacks.append((stack_id, *key))
            return stack_id

    def frame(self, function: str, file: str, line: int, *, paths: SourcePaths) -> int:
        """Return the number of a frame."""
        name, origin = paths.name(file)
        key = (function, name, line)
        with self._lock:
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
        with self._lock:
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


def _with_slash(path: str) -> str:
    return path.replace("\\", "/").rstrip("/") + "/"
