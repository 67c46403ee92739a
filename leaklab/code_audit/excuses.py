"""Comments that say why a place is no leak: ``# leaklab: bounded because …`` and ``# noqa``."""

from __future__ import annotations

import re

from leaklab.code_audit.model import Candidate, Excuse
from leaklab.code_audit.scopes import Module

BOUNDED_BECAUSE = re.compile(r"#\s*leaklab:\s*bounded because\s+(?P<why>.+)", re.IGNORECASE)
NOQA = re.compile(
    r"#\s*noqa(?::\s*(?P<codes>[A-Z][A-Z0-9]*(?:[,\s]+[A-Z]+[0-9]+)*))?", re.IGNORECASE
)

Known = dict[int, list[Excuse]]


def of_module(module: Module) -> Known:
    """The excuses of a module by line; a comment on a line of its own excuses the next one."""
    found: Known = {}
    for number, line in enumerate(module.text_lines, start=1):
        if "#" not in line:
            continue
        for excuse in of_line(line, number):
            at = number + 1 if line.lstrip().startswith("#") else number
            found.setdefault(at, []).append(excuse)
    return found


def of_line(line: str, number: int) -> list[Excuse]:
    """The excuses that one line of source gives."""
    found = []
    bounded = BOUNDED_BECAUSE.search(line)
    if bounded:
        found.append(Excuse("bounded because", bounded["why"].strip(), number))
    noqa = NOQA.search(line)
    if noqa:
        codes = (noqa["codes"] or "").replace(",", " ").upper()
        found.append(Excuse("noqa", " ".join(codes.split()), number))
    return found


def find(known: Known, candidate: Candidate) -> Excuse | None:
    """The excuse that holds for a candidate: at one of its lines and, for noqa, of its rule."""
    for line in candidate.lines:
        for excuse in known.get(line, ()):
            codes = excuse.text.split()
            if excuse.kind != "noqa" or candidate.rule in codes:
                return excuse
    return None
