"""What ``kubectl top pod`` prints in a loop, with ``date`` between: memory and CPU of pods."""

from __future__ import annotations

import re
from dataclasses import replace

from leaklab.errors import LeaklabError
from leaklab.importers import blocks
from leaklab.importers.metrics import METRICS
from leaklab.importers.reading import Options, Reading, Source

NAME = "kubectl-top"
_MEMORY, _CPU = "MEMORY(bytes)", "CPU(cores)"
# The kubelet's figure: what it evicts by.
_WORKING_SET = METRICS["container_memory_working_set_bytes"]
_FIGURE = re.compile(r"\d+(?:[KMGT]i?)?")
_PERCENT_OF_CORE, _PERCENT_OF_MILLICORE = 100.0, 0.1


def recognise(source: Source) -> bool:
    """Return whether there is a heading of kubectl's with memory in it."""
    return any(_is_heading(line.split()) for line in source.first_lines[:20])


def _is_heading(words: list[str]) -> bool:
    return {"NAME", _MEMORY} <= set(words)


def _is_row(row: dict[str, str]) -> bool:
    return _FIGURE.fullmatch(row[_MEMORY]) is not None


def read(source: Source, options: Options) -> Reading:
    """Read memory and CPU of each pod, or of each container of it (``--containers``)."""
    rows = blocks.rows_of(source.text_of_lines, _is_heading, blocks.words, _is_row)
    if not rows:
        raise LeaklabError(f"kubectl top without pods: {source.path}; were there any?")
    rows = [replace(row, cells=_cells(row.cells)) for row in rows]
    reading = blocks.reading_of(
        rows,
        {_MEMORY: (_WORKING_SET.resource, 1), _CPU: ("gauge:cpu_percent", 1)},
        source,
        options,
        title="kubectl top",
        understood=f"{_MEMORY} in its own units as {_WORKING_SET.resource}",
        name="who",
        kept=_WORKING_SET.resource,
        things="pods or containers",
    )
    names = {row.cells["who"] for row in rows}
    reading.only = names.pop() if len(names) == 1 else ""
    reading.judged = (_WORKING_SET.resource,)
    reading.cautions = {_WORKING_SET.resource: _WORKING_SET.caution or ""}
    return reading


def _cells(row: dict[str, str]) -> dict[str, str]:
    """A row with who it is of, and the cores it uses in per cent of one."""
    who = " ".join(row[name] for name in ("NAMESPACE", "POD", "NAME") if name in row)
    cores, figure = row.get(_CPU, ""), float("nan")
    if match := re.fullmatch(r"(\d+)(m?)", cores):
        figure = int(match[1]) * (_PERCENT_OF_MILLICORE if match[2] else _PERCENT_OF_CORE)
    return {**row, "who": who, _CPU: str(figure)}
