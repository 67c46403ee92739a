"""What ``pidstat -r INTERVAL`` prints (sysstat), with or without ``-h`` and ``-u``."""

from __future__ import annotations

import re

from leaklab.errors import LeaklabError
from leaklab.importers import blocks
from leaklab.importers.reading import Options, Reading, Source

NAME = "pidstat"
_CLOCK = re.compile(r"\d{1,2}:\d\d:\d\d(\s+[AP]M)?")
_EPOCH = re.compile(r"1\d{9}")
# kB of pidstat are 1,024 bytes, as the kernel's.
_COLUMNS = {"RSS": ("rss_bytes", 1024), "%CPU": ("gauge:cpu_percent", 1)}


def recognise(source: Source) -> bool:
    """Return whether there is a heading of pidstat's with resident memory in it."""
    return any(_is_heading(_split(line, 0)) for line in source.first_lines[:50])


def _is_heading(words: list[str]) -> bool:
    return "PID" in words and "RSS" in words and "minflt/s" in words


def _split(line: str, count: int) -> list[str]:
    """Cells without the time before them, which ``AM`` may make two words of."""
    text = line.lstrip("# ").strip()
    match = _CLOCK.match(text) or _EPOCH.match(text)
    rest = text[match.end() :] if match else text.removeprefix("Time")
    return blocks.words(rest, count)


def read(source: Source, options: Options) -> Reading:
    """Read resident memory (and CPU) of each command; pids of one command are its processes."""
    rows: list[blocks.Row] = []
    heading: list[str] = []
    block = -1
    for line in source.text.splitlines():
        if line.startswith("Average"):
            continue
        text = line.lstrip("# ").strip()
        words = _split(line, 0)
        if _is_heading(words):
            heading, block = words, block + 1
            continue
        match = _CLOCK.match(text) or _EPOCH.match(text)
        cells = _split(line, len(heading)) if heading and match else []
        if match and len(cells) == len(heading) and cells:
            row = dict(zip(heading, cells, strict=True))
            if "RSS" in row:
                rows.append(blocks.Row(block, match[0], row))
        elif words and not match:
            heading = heading if line.startswith("#") else []
    if not rows:
        raise LeaklabError(f"pidstat without rows: {source.path}; record longer")
    columns = {name: what for name, what in _COLUMNS.items() if name in rows[0].cells}
    found, started, notes = blocks.members_of(
        rows,
        columns,
        name="Command",
        pid="PID",
        kept="rss_bytes",
        asked=options.group,
        path=source.path,
    )
    return Reading(
        title="pidstat",
        understood=f"{len(rows):,} rows, RSS in kB (1,024 bytes) as rss_bytes, "
        f"one role a {options.group or 'command'}",
        members=found,
        started=started,
        notes=notes,
    )
