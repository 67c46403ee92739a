"""What ``docker stats`` prints, in a loop or as JSON lines: memory and CPU of containers."""

from __future__ import annotations

import json
import re

from leaklab.errors import LeaklabError
from leaklab.importers import blocks
from leaklab.importers.columns import TIME_WORDS, named
from leaklab.importers.metrics import DOCKER
from leaklab.importers.reading import Options, Reading, Source
from leaklab.importers.units import cell
from leaklab.last_words import plain

NAME = "docker-stats"
_GAP = re.compile(r"\s{2,}")


def recognise(source: Source) -> bool:
    """Return whether there is a heading of docker's, or one of its JSON objects."""
    if b'"MemUsage"' in source.head and b'"CPUPerc"' in source.head:
        return True
    return any(_is_heading(_split(line, 0)) for line in source.first_lines[:20])


def _is_heading(words: list[str]) -> bool:
    return any(word.startswith("MEM USAGE") for word in words)


def _split(line: str, count: int) -> list[str]:
    return [part for part in _GAP.split(plain(line).strip()) if part]


def read(source: Source, options: Options) -> Reading:
    """Read memory and CPU of each container, and the limit that is said of it last."""
    rows = (
        _json_rows(source.text)
        if b'"MemUsage"' in source.head
        else _table_rows(source.text_of_lines)
    )
    if not rows:
        raise LeaklabError(f"docker stats without containers: {source.path}; record longer")
    columns = {"memory": (DOCKER.resource, 1), "cpu": ("gauge:cpu_percent", 1)}
    reading = blocks.reading_of(
        rows,
        columns,
        source,
        options,
        title="docker stats",
        understood=f"MEM USAGE in its own units as {DOCKER.resource}",
        name="name",
        kept=DOCKER.resource,
        things="containers",
    )
    roles = {member.role for member in reading.members}
    limits = {
        "main" if roles == {"main"} else blocks.role_of(row, "name", options.group): limit
        for row in rows
        if (limit := _bytes(row.cells["limit"])) is not None
    }
    reading.judged = (DOCKER.resource,)
    reading.cautions = {DOCKER.resource: DOCKER.caution or ""}
    reading.role_limits = {role: limit for role, limit in limits.items() if role in roles}
    reading.siblings = False
    return reading


def _bytes(text: str) -> float | None:
    try:
        figure, unit = cell(text)
    except ValueError:
        return None
    return figure if unit and figure > 0 else None


def _row(block: int, time: str | None, name: str, usage: str, cpu: str) -> blocks.Row:
    used, _, limit = usage.partition("/")
    cells = {"name": name, "memory": used.strip(), "limit": limit.strip(), "cpu": cpu}
    return blocks.Row(block, time, cells)


def _usage(row: dict[str, str]) -> str:
    return next((text for name, text in row.items() if name.startswith("MEM USAGE")), "")


def _table_rows(text: str) -> list[blocks.Row]:
    rows = []
    for row in blocks.rows_of(text, _is_heading, _split, lambda row: "/" in _usage(row)):
        usage = _usage(row.cells)
        name = row.cells.get("NAME") or row.cells.get("CONTAINER ID") or "container"
        rows.append(_row(row.block, row.time, name, usage, row.cells.get("CPU %", "")))
    return rows


def _json_rows(text: str) -> list[blocks.Row]:
    """The rows of objects, one a line or over several: with their own time, or that before them."""
    rows: list[blocks.Row] = []
    time: str | None = None
    seen: dict[str, int] = {}
    text, decoder, place = plain(text), json.JSONDecoder(), 0
    while (begin := text.find("{", place)) >= 0:
        for line in text[place:begin].splitlines():
            time = blocks.time_in(line) or time
        try:
            entry, place = decoder.raw_decode(text, begin)
        except ValueError:
            place = begin + 1
            continue
        if "MemUsage" not in entry:
            continue
        name = str(entry.get("Name") or entry.get("Container"))
        seen[name] = seen.get(name, -1) + 1
        usage, cpu = str(entry["MemUsage"]), str(entry.get("CPUPerc", ""))
        own = named(list(entry), TIME_WORDS)
        rows.append(_row(seen[name], str(entry[own]) if own else time, name, usage, cpu))
    return rows
