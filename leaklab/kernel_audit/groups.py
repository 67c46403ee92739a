"""What goes together when a line is executed."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Group:
    """What goes together.

    kind: name, out, traceback, figures or cache. targets: addresses of what the line lets go of.
    sources: addresses of what holds those under the names that the line removes. container: address
    of what the line empties instead. kept: addresses of what it keeps. empty_bytes: the container's
    own size when it is empty, None where it does not shrink. native_bytes: memory of C libraries
    that goes as well and is no object.
    """

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
    native_bytes: int = 0
