"""What ``pidstat -r INTERVAL`` prints (sysstat), with or without ``-h``, ``-u`` and ``-v``."""

from __future__ import annotations

import re

from leaklab.errors import LeaklabError
from leaklab.importers import blocks
from leaklab.importers.reading import Options, Reading, Source

NAME = "pidstat"
_CLOCK = re.compile(r"\d{1,2}:\d\d:\d\d(\s+[AP]M)?")
_EPOCH = re.compile(r"1\d{9}")
# kB of pidstat are 1,024 bytes, as the kernel's.
_COLUMNS = {
    "RSS": ("rss_bytes", 1024),
    "%CPU": ("gauge:cpu_percent", 1),
    "threads": ("thread_count", 1),
    "fd-nr": ("fd_count", 1),
}


def recognise(source: Source) -> bool:
    """Return whether there is a heading of pidstat's with resident memory in it."""
    return any(_is_heading(_split(line, 0)) for line in source.first_lines[:50])


def _is_heading(words: list[str]) -> bool:
    return "PID" in words and "RSS" in words and "minflt/s" in words


def _is_other_heading(words: list[str]) -> bool:
    """Whether it is the heading of a table beside that of memory: without ``-h`` each has one."""
    return "PID" in words and words[-1:] == ["Command"]


def _split(line: str, count: int) -> list[str]:
    """Cells without the time before them, which ``AM`` may make two words of."""
    text = line.lstrip("# ").strip()
    match = _CLOCK.match(text) or _EPOCH.match(text)
    rest = text[match.end() :] if match else text.removeprefix("Time")
    return blocks.words(rest, count)


def _rows(text: str) -> list[blocks.Row]:
    """A row for each process and moment, with its cells of all tables."""
    rows: list[blocks.Row] = []
    heading: list[str] = []
    now: dict[str, blocks.Row] = {}
    block, time = -1, None
    for line in text.splitlines():
        if line.startswith("Average"):
            continue
        plain = line.lstrip("# ").strip()
        words = _split(line, 0)
        if _is_heading(words) or _is_other_heading(words):
            heading = words
            continue
        match = _CLOCK.match(plain) or _EPOCH.match(plain)
        cells = _split(line, len(heading)) if heading and match else []
        if match and len(cells) == len(heading) and cells:
            if match[0] != time:
                block, time, now = block + 1, match[0], {}
            found = dict(zip(heading, cells, strict=True))
            row = now.setdefault(found["PID"], blocks.Row(block, time, {}))
            if not row.cells:
                rows.append(row)
            row.cells.update(found)
        elif words and not match:
            heading = heading if line.startswith("#") else []
    return rows


def read(source: Source, options: Options) -> Reading:
    """Read memory, CPU, threads and descriptors of each command.

    Pids of one command are its processes.
    """
    rows = [row for row in _rows(source.text_of_lines) if "RSS" in row.cells]
    if not rows:
        raise LeaklabError(f"pidstat without rows: {source.path}; record longer")
    there = {name for row in rows for name in row.cells}
    columns = {name: what for name, what in _COLUMNS.items() if name in there}
    role = options.group or "command"
    return blocks.reading_of(
        rows,
        columns,
        source,
        options,
        title="pidstat",
        understood=f"RSS in kB (1,024 bytes) as rss_bytes, one role a {role}",
        name="Command",
        pid="PID",
    )
