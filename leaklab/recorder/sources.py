"""The text of the target's source lines that appear in stacks, kept with the run."""

from __future__ import annotations

from pathlib import Path

from leaklab.recorder.heap.stream import StackTable
from leaklab.store import RunWriter

# A larger "source" file is generated; nobody reads its lines in a report.
_LARGEST_SOURCE_BYTES = 4 << 20


def store_sources(writer: RunWriter, stacks: StackTable) -> None:
    """Keep the text of the lines that appear in stacks: the run may be read elsewhere."""
    wanted = stacks.target_lines()
    for name, lines in wanted.items():
        path = Path(stacks.target_files[name])
        try:
            if path.stat().st_size > _LARGEST_SOURCE_BYTES:
                continue
            text = path.read_text("utf-8", "replace").splitlines()
        except OSError:
            continue
        found = [number for number in sorted(lines) if 1 <= number <= len(text)]
        writer.append(
            "sources",
            {
                "file": [name] * len(found),
                "line": found,
                "text": [text[number - 1] for number in found],
            },
        )
