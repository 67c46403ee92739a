"""What an audit says: candidates, and the state a recorded run gives each of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

#: before a run was looked at
OPEN = "open"
CONFIRMED = "confirmed"
BOUNDED = "bounded"
REFUTED = "refuted"
NOT_EXERCISED = "not exercised"
#: it ran, and what was measured does not decide it
UNDECIDED = "undecided"
STATES = (CONFIRMED, UNDECIDED, NOT_EXERCISED, OPEN, BOUNDED, REFUTED)


@dataclass(frozen=True)
class Watch:
    """What to read in the recorded program: ``path`` inside the module of ``file``.

    ``path`` is a dotted chain ("PAGES", "Service.find", "Service.cache" for an attribute of the
    instances of Service); ``gauge`` is the name of the reading.
    """

    gauge: str
    file: str
    path: str


@dataclass(frozen=True)
class Excuse:
    """A comment that says why a candidate is no leak: ``kind`` is "bounded because" or "noqa"."""

    kind: str
    text: str
    line: int


@dataclass(frozen=True)
class Candidate:
    """One suspicious place.

    rule, title, message:
        The rule's id, its title, and what it says about this place.
    file, line, end_line, column:
        Where: the path as given to the audit, lines and columns count from 1.
    cell:
        For a notebook, the number of the code cell; ``line`` then counts inside the cell.
    name:
        What it is about, as ``module:object`` ("app.cache:PAGES"); None for a bare place.
    function:
        The function that has to run for it to matter; None at the top level.
    module:
        The dotted name of the module.
    text:
        The source line.
    lines:
        All lines of the file that belong to it: where the thing is made and where it grows.
    run_places:
        The lines of which one has to run for the candidate to be exercised, each with the name of
        the code object that it has to run in ("" where the line tells it by itself).
    watches:
        The readings that decide it.
    resources:
        Resources that grow if it is a leak ("fd_count", "thread_count"...).
    holders:
        Names under which an object graph would show what keeps the growth.
    if_kept, unless_kept:
        A class: it is a candidate only if (or unless) a module keeps an instance of that; known
        once all files were read.
    if_uncalled:
        Functions: it is a candidate only while no file mentions any of them.
    state, evidence:
        Open until a run was looked at; then what the run says and why.
    """

    rule: str
    title: str
    message: str
    file: str
    line: int
    end_line: int
    column: int = 1
    cell: int | None = None
    name: str | None = None
    function: str | None = None
    module: str = ""
    text: str = ""
    lines: tuple[int, ...] = ()
    run_places: tuple[tuple[int, str], ...] = ()
    watches: tuple[Watch, ...] = ()
    resources: tuple[str, ...] = ()
    holders: tuple[str, ...] = ()
    if_kept: str | None = None
    unless_kept: str | None = None
    if_uncalled: tuple[str, ...] = ()
    excuse: Excuse | None = None
    state: str = OPEN
    evidence: str = ""
    in_baseline: bool = False

    @property
    def fingerprint(self) -> str:
        """The same for the same finding after lines moved: rule, file, function, name and text."""
        parts = (self.rule, self.file, self.function or "", self.name or "", self.text.strip())
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    @property
    def place(self) -> str:
        """``file:line``, for a notebook with its cell."""
        cell = f"cell {self.cell}:" if self.cell is not None else ""
        return f"{self.file}:{cell}{self.line}"

    @property
    def run_lines(self) -> tuple[int, ...]:
        """The lines of which one has to run."""
        return tuple(sorted({line for line, _ in self.run_places}))

    def judged(self, state: str, evidence: str) -> Candidate:
        """Return it with the state a run gave it."""
        return replace(self, state=state, evidence=evidence)

    def to_json(self) -> dict[str, Any]:
        """Return its fields in JSON's types."""
        return {
            "rule": self.rule,
            "title": self.title,
            "message": self.message,
            "file": self.file,
            "cell": self.cell,
            "line": self.line,
            "end_line": self.end_line,
            "column": self.column,
            "name": self.name,
            "function": self.function,
            "gauges": [watch.gauge for watch in self.watches],
            "state": self.state,
            "evidence": self.evidence,
            "excuse": None
            if self.excuse is None
            else {"kind": self.excuse.kind, "text": self.excuse.text},
            "in_baseline": self.in_baseline,
            "fingerprint": self.fingerprint,
        }


@dataclass(frozen=True)
class Note:
    """Something the reader of an audit has to know: a file left out, a tool missing."""

    text: str
    file: str | None = None
    # Whether the file was to be read and could not be.
    failed: bool = False


@dataclass(frozen=True)
class Findings:
    """What an audit of source found, before a run was looked at."""

    candidates: tuple[Candidate, ...]
    notes: tuple[Note, ...] = ()
    file_count: int = 0
    line_count: int = 0
    digests: dict[str, str] = field(default_factory=dict)
