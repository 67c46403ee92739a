"""What ``smem`` prints in a loop, with ``date`` between: memory, with its shared parts apart."""

from __future__ import annotations

from functools import partial

from leaklab.errors import LeaklabError
from leaklab.importers import blocks
from leaklab.importers.reading import Options, Reading, Source

NAME = "smem"
_COMMAND = "Command"
# Without -k in KiB, as the kernel counts.
_COLUMNS = {
    "RSS": ("rss_bytes", 1024),
    "PSS": ("gauge:pss_bytes", 1024),
    "USS": ("gauge:uss_bytes", 1024),
    "Swap": ("gauge:swap_bytes", 1024),
}


def recognise(source: Source) -> bool:
    """Return whether there is a heading of smem's with resident memory in it."""
    return any(_is_heading(line.split()) for line in source.first_lines[:20])


def _is_heading(words: list[str]) -> bool:
    return {"PID", _COMMAND, "RSS", "PSS"} <= set(words)


def _is_row(row: dict[str, str]) -> bool:
    return row["PID"].isdecimal() and row["RSS"][:1].isdecimal()


def read(source: Source, options: Options) -> Reading:
    """Read memory of each command; pids of one command are its processes."""
    headings = (line.split() for line in source.text_of_lines.splitlines())
    place = next((words.index(_COMMAND) for words in headings if _is_heading(words)), 0)
    rows = blocks.rows_of(source.text_of_lines, _is_heading, partial(_split, place), _is_row)
    if not rows:
        raise LeaklabError(f"smem without rows: {source.path}; run it as the processes' owner")
    return blocks.reading_of(
        rows,
        {name: what for name, what in _COLUMNS.items() if name in rows[0].cells},
        source,
        options,
        title="smem in a loop",
        understood="RSS in KiB as rss_bytes",
        name=_COMMAND,
        pid="PID",
    )


def _split(place: int, line: str, count: int) -> list[str]:
    """Cells of a line; what is left between the others is the command, at ``place``."""
    words = line.split()
    if not count or len(words) <= count:
        return words
    end = len(words) - (count - place - 1)
    return [*words[:place], " ".join(words[place:end]), *words[end:]]
