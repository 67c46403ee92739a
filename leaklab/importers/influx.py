"""What InfluxDB exports: annotated CSV of Flux, JSON of InfluxQL; and telegraf's line protocol."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import Any

from leaklab.importers.reading import Options, Reading, Source
from leaklab.importers.services import Told, epoch, read_with, reading_of_told

NAME = "influx"
# Of telegraf's plugins, which give bytes.
_IN_BYTES = re.compile(
    r"procstat\.\w*memory_(?:rss|vms|swap)|docker_container_mem\.\w*(?:usage|rss)"
)
_ANSWER = re.compile(rb'\s*\{\s*"results"\s*:')
_OWN = frozenset(("", "result", "table"))
_TAGS = r"(?:,[^\s,=]+=(?:\\.|[^\s,\\])+)*"
_FIELD = r"[^\s,=]+=(?:\"(?:\\.|[^\"\\])*\"|[^\s,\"]+)"
_LINE = re.compile(rf"([^\s,=]+)({_TAGS}) ({_FIELD}(?:,{_FIELD})*) (\d{{10,19}})")
_FUNCTION = re.compile(r"^(?:mean|last|first|max|min|median|sum)_?(?=\w)")


def recognise(source: Source) -> bool:
    """Return whether the file is a table of Flux, an answer of InfluxQL or line protocol."""
    if _ANSWER.match(source.head):
        return b'"columns"' in source.head[:4096]
    lines = [line for line in source.first_lines[:20] if line.strip()]
    is_table = any({"_time", "_value", "_field"} <= set(line.split(",")) for line in lines)
    return is_table or bool(lines and all(map(_LINE.fullmatch, lines)))


def read(source: Source, options: Options) -> Reading:
    """Read each field of a measurement as one process by its tags."""
    if source.head.lstrip().startswith(b"{"):
        return read_with(source, options, "InfluxQL JSON", _of_answer)
    if source.first_lines and _LINE.fullmatch(source.first_lines[0]):
        told = _of_lines(source.lines(of_lines=True))
        return reading_of_told(list(told), options, source.path, "InfluxDB line protocol")
    told = _of_table(source.text_of_lines)
    return reading_of_told(list(told), options, source.path, "InfluxDB CSV")


def _told(tags: dict[str, str], measurement: str, field: str, at: Any, value: Any) -> Told:
    name = f"{measurement}.{field}" if measurement else field
    unit = "bytes" if _IN_BYTES.fullmatch(name) else ""
    return Told(tags, name, [(epoch(at), float(value))], unit)


def _of_table(text: str) -> Iterator[Told]:
    heading: list[str] = []
    for cells in csv.reader(text.splitlines()):
        if not cells or cells[0].startswith("#"):
            continue
        if "_time" in cells and "_value" in cells:
            heading = cells
            continue
        row = dict(zip(heading, cells, strict=False))
        if row.get("_time") and row.get("_value"):
            tags = {k: v for k, v in row.items() if k[:1] != "_" and k not in _OWN}
            measurement, field = row.get("_measurement", ""), row["_field"]
            yield _told(tags, measurement, field, row["_time"], row["_value"])


def _of_answer(answer: Any) -> Iterator[Told]:
    for series in (s for result in answer["results"] for s in result.get("series") or ()):
        fields = series["columns"][1:]
        for at, *values in series["values"]:
            for field, value in zip(fields, values, strict=True):
                if isinstance(value, int | float):
                    name = _FUNCTION.sub("", field)
                    yield _told(series.get("tags") or {}, series["name"], name, at, value)


def _of_lines(lines: Iterator[str]) -> Iterator[Told]:
    for line in lines:
        match = _LINE.fullmatch(line.strip())
        if match is None:
            continue
        tags = dict(pair.split("=", 1) for pair in match[2].split(",")[1:])
        for pair in re.findall(_FIELD, match[3]):
            field, value = pair.split("=", 1)
            if re.fullmatch(r"-?[\d.]+(?:[eE][-+]?\d+)?[iu]?", value):
                yield _told(tags, match[1], field, match[4], value.rstrip("iu"))
