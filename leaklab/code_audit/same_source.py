"""Whether a run is of the source that was audited; refused with what differs if it is not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaklab.errors import LeaklabError

if TYPE_CHECKING:
    from leaklab.results.run import Run

LONGEST_LINE = 60


class Files:
    """The audited files under the names a run gives them: relative to a folder above them."""

    def __init__(self, files: Iterable[str]) -> None:
        self._by_suffix: dict[str, list[str]] = {}
        self._known: dict[str, str | None] = {}
        self._files = frozenset(files)
        for file in self._files:
            parts = Path(file).resolve().parts
            for start in range(1, len(parts)):
                self._by_suffix.setdefault("/".join(parts[start:]), []).append(file)

    def find(self, name: str) -> str | None:
        """The audited file a run calls ``name``; None where none or several may be meant.

        A whole path may be that of another machine or folder: the longest end of it, folder and
        file at least, that is an audited file's counts.
        """
        if name not in self._known:
            self._known[name] = self._look_for(name)
        return self._known[name]

    def _look_for(self, name: str) -> str | None:
        if name in self._files:
            return name
        parts = name.lstrip("/").split("/")
        for start in range(len(parts) - 1 if name.startswith("/") else 1):
            found = self._by_suffix.get("/".join(parts[start:]), ())
            if len(found) == 1:
                return found[0]
            if found:
                here = str(Path(name).resolve())
                return next((file for file in found if str(Path(file).resolve()) == here), None)
        return None


def check_same_source(run: Run, digests: Mapping[str, str]) -> Files:
    """Raise LeaklabError unless ``run`` ran the audited source; returns how its files are called.

    Compared are the digests that a recording for an audit keeps, and else the text of the lines
    that appear in the run's stacks.
    """
    files = Files(digests)
    _refuse_other_program(run, files)
    _refuse_changed_files(run, files, digests)
    for row in _rows(run.data.sources):
        file = files.find(str(row["file"]))
        if file is None or file.endswith(".ipynb"):
            continue
        now = _line(file, int(row["line"]))
        if now is None or now.strip() != str(row["text"]).strip():
            was, is_now = _short(row["text"]), _short(now if now is not None else "")
            raise LeaklabError(
                f"the run is of an older source: {file}:{row['line']} was `{was}`, is `{is_now}`; "
                "record it again"
            )
    return files


def _refuse_changed_files(run: Run, files: Files, digests: Mapping[str, str]) -> None:
    watched = run.meta.get("watched") or {}
    for name, digest in (watched.get("digests") or {}).items():
        file = files.find(name)
        if file is not None:
            if digests[file] != digest:
                raise LeaklabError(
                    f"the run is of an older source: {file} has changed since; record it again"
                )


def _refuse_other_program(run: Run, files: Files) -> None:
    """A run none of whose own files was audited says nothing about them."""
    frames = run.data.frames
    own = set(frames[frames["origin"] == "target"]["file"]) if len(frames) else set()
    own |= set((run.meta.get("watched") or {}).get("digests") or {})
    argv = (run.meta.get("command") or {}).get("argv") or ()
    own |= {str(word) for word in argv if str(word).endswith(".py")}
    if own and not any(files.find(str(name).removeprefix("./")) for name in own):
        names = ", ".join(sorted(map(str, own))[:3])
        raise LeaklabError(
            f"a run of another program: {run.label} ran {names}, and none of it was audited; "
            "audit that, or give a run of the audited program"
        )


def _rows(frame: Any) -> list[dict[str, Any]]:
    return list(frame.to_dict("records")) if len(frame) else []


def _line(file: str, number: int) -> str | None:
    try:
        lines = Path(file).read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    return lines[number - 1] if 1 <= number <= len(lines) else None


def _short(text: object) -> str:
    text = " ".join(str(text).split())
    return text if len(text) <= LONGEST_LINE else text[: LONGEST_LINE - 1] + "…"
