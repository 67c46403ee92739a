"""What a loop over ``ps`` prints: a heading with RSS, its rows, perhaps ``date`` between them."""

from __future__ import annotations

from leaklab.errors import LeaklabError
from leaklab.importers import blocks
from leaklab.importers.reading import Options, Reading, Source

NAME = "ps"
_COLUMNS = {
    "RSS": ("rss_bytes", 1024),
    "RSZ": ("rss_bytes", 1024),
    "NLWP": ("thread_count", 1),
    "%CPU": ("gauge:cpu_percent", 1),
}
_NAMES = ("COMMAND", "CMD", "COMM", "ARGS")
# Of ps, in capitals, whatever the format asked for.
_KNOWN = frozenset(
    (
        "PID", "PPID", "USER", "UID", "VSZ", "%MEM", "%CPU", "TIME", "ELAPSED", "STAT", "TTY",
        "START", "STARTED", "NLWP", "S", "NI", "PRI", "F", "C", "WCHAN", "SZ", "TRS", "DRS",
        "MAJFL", "RSS", "RSZ", *_NAMES,
    )
)  # fmt: skip


def recognise(source: Source) -> bool:
    """Return whether there is a heading of ps' with resident memory in it."""
    return any(_is_heading(line.split()) for line in source.first_lines[:20])


def _is_heading(words: list[str]) -> bool:
    if not {"RSS", "RSZ"} & set(words):
        return False
    return set(words) <= _KNOWN and (len(words) > 1 or words == ["RSS"])


def _is_row(row: dict[str, str]) -> bool:
    # A line of another table, as of free, may have as many words. A process that has ended and was
    # not waited for has no memory left, and another name.
    figures = row.get("RSS", row.get("RSZ", "")), row.get("PID", "0")
    ended = any(row.get(name, "").endswith("<defunct>") for name in _NAMES)
    return all(figure.isdecimal() for figure in figures) and not ended


def read(source: Source, options: Options) -> Reading:
    """Read resident memory of each command; pids of one command are its processes."""
    rows = blocks.rows_of(source.text_of_lines, _is_heading, blocks.words, _is_row)
    if not rows:
        raise LeaklabError(f"ps without rows: {source.path}; was the pid still there?")
    first = rows[0].cells
    size = "RSS" if "RSS" in first else "RSZ"
    columns = {name: what for name, what in _COLUMNS.items() if name in first}
    name = next((name for name in _NAMES if name in first), None)
    return blocks.reading_of(
        rows,
        columns,
        source,
        options,
        title="ps in a loop",
        understood=f"{size} in KiB as rss_bytes",
        name=name,
        pid="PID" if "PID" in first else None,
    )
