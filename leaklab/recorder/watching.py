"""What an audit asks of a recording: containers to read at marks, and lines that may run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaklab.errors import UsageError

if TYPE_CHECKING:
    from leaklab.store import RunWriter


def check_watches(containers: Sequence[str], lines: Sequence[str]) -> None:
    """Raise UsageError unless the values are as RecordOptions describes them."""
    for entry in containers:
        if len(entry.split("\t")) != 3 or "\n" in entry:
            raise UsageError(f"not a container to watch: {entry!r}; GAUGE, FILE and PATH by tabs")
    for entry in lines:
        file, _, number = entry.rpartition(":")
        if not file or not number.isdigit() or "\t" in entry or "\n" in entry:
            raise UsageError(f"not a line to watch: {entry!r}; FILE:LINE is needed")


def watch_file(folder: Path, containers: Sequence[str], lines: Sequence[str]) -> Path | None:
    """Write what the probe reads; None where there is nothing to watch."""
    if not containers and not lines:
        return None
    numbers: dict[str, list[str]] = {}
    for entry in lines:
        file, _, number = entry.rpartition(":")
        numbers.setdefault(file, []).append(number)
    rows = [f"read\t{entry}" for entry in containers]
    rows += [f"line\t{file}\t{','.join(found)}" for file, found in numbers.items()]
    path = folder / "watched.tsv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def watched_meta(
    containers: Sequence[str], lines: Sequence[str], folder: str | None
) -> dict[str, Any] | None:
    """What run.json keeps: the gauges, the files with their digests, and the lines that ran.

    ``executed`` has the lines by file, ``executed_in`` by file and by the code objects that ran
    on them: the line of a one-line function also runs where the function is made. Files are called
    as in the run's other tables: relative to the working folder.
    """
    if not containers and not lines:
        return None
    files = {entry.split("\t")[1] for entry in containers}
    files |= {entry.rpartition(":")[0] for entry in lines}
    return {
        "gauges": [entry.split("\t")[0] for entry in containers],
        "digests": {
            _called(file, folder): digest for file in sorted(files) if (digest := _digest(file))
        },
        "line_grain": None,
        "executed": {},
        "executed_in": {},
    }


def note_lines(writer: RunWriter, message: Mapping[str, Any], folder: str | None) -> None:
    """Keep the lines that a probe says have run."""
    watched = writer.meta.get("watched")
    file, lines = message.get("file"), message.get("lines")
    if not isinstance(watched, dict) or not isinstance(file, str) or not isinstance(lines, list):
        return
    if lines:
        file = _called(file, folder)
        known = set(watched["executed"].get(file, ()))
        known.update(line for line in lines if isinstance(line, int))
        watched["executed"][file] = sorted(known)
        by_code = watched["executed_in"].setdefault(file, {})
        for line, code in zip(lines, message.get("codes") or (), strict=False):
            by_code[code] = sorted({*by_code.get(code, ()), line})
    watched["line_grain"] = message.get("grain")
    writer.update(watched=watched)


def _called(file: str, folder: str | None) -> str:
    try:
        return Path(file).relative_to(Path(folder or ".").resolve()).as_posix()
    except ValueError:
        return file


def _digest(file: str) -> str | None:
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except OSError:
        return None
