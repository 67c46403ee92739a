"""What ``top -b`` prints, again and again."""

from __future__ import annotations

from leaklab.errors import LeaklabError
from leaklab.importers import blocks
from leaklab.importers.reading import Options, Reading, Source

NAME = "top"
# RES is in KiB unless a cell says "1.2g".
_COLUMNS = {"RES": ("rss_bytes", 1024), "%CPU": ("gauge:cpu_percent", 1)}


def recognise(source: Source) -> bool:
    """Return whether there is a heading of top's."""
    return any(_is_heading(line.split()) for line in source.first_lines[:60])


def _is_heading(words: list[str]) -> bool:
    return {"PID", "RES", "VIRT", "COMMAND"} <= set(words)


def read(source: Source, options: Options) -> Reading:
    """Read resident memory and CPU of each command; pids of one command are its processes."""
    rows = blocks.rows_of(
        source.text_of_lines, _is_heading, blocks.words, lambda row: row["PID"].isdecimal()
    )
    if not rows:
        raise LeaklabError(f"top without rows of processes: {source.path}; record longer")
    return blocks.reading_of(
        rows,
        _COLUMNS,
        source,
        options,
        title="top -b",
        understood=f"RES in KiB as rss_bytes, one role a {options.group or 'command'}",
        name="COMMAND",
        pid="PID",
    )
