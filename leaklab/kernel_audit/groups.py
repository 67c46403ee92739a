"""What goes together when a line is executed."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Group:
    """What goes together. ``targets``: addresses of what the line lets go of; ``sources``: of what
    holds those under the names the line removes. ``container``: address of what the line empties
    instead, ``kept``: what it keeps, ``empty_bytes``: its own size when it is empty, None where it
    does not shrink. ``kind``: name, out, traceback, figures, cache, garbage."""

    key: str
    kind: str
    title: str
    line: str
    cell: int | None = None
    type: str = ""
    names: list[str] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)
    container: int | None = None
    kept: list[int] = field(default_factory=list)
    empty_bytes: int | None = None
