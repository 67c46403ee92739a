"""The text of the target's source lines that appear in stacks, kept with the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from leaklab.recorder.heap.stacks import StackTable
from leaklab.store import RunWriter

# A larger "source" file is generated; nobody reads its lines in a report.
_LARGEST_SOURCE_BYTES = 4 << 20
_NO_CELLS: Mapping[str, Sequence[str]] = {}


def store_sources(
    writer: RunWriter, stacks: StackTable, cells: Mapping[str, Sequence[str]] = _NO_CELLS
) -> None:
    """Keep the text of the lines that appear in stacks: the run may be read elsewhere.

    ``cells``: see RecordOptions.
    """
    wanted = stacks.target_lines()
    for name, lines in wanted.items():
        file = stacks.target_files[name]
        text = cells[file][1].splitlines() if file in cells else _lines(Path(file))
        found = [number for number in sorted(lines) if 1 <= number <= len(text)]
        writer.append(
            "sources",
            {
                "file": [name] * len(found),
                "line": found,
                "text": [text[number - 1] for number in found],
            },
        )


def _lines(path: Path) -> list[str]:
    try:
        if path.stat().st_size > _LARGEST_SOURCE_BYTES:
            return []
        return path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
