"""What to show first, decided once: the resource a run is shown by, and the order of variants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, get_args

from leaklab import resources

# The roles of a case's variants, in the order in which they are told.
Role = Literal["before", "documented_fix", "better_fix", "control", "condition"]
ROLES: tuple[str, ...] = get_args(Role)


def headlines(entries: Iterable[Any]) -> list[tuple[str, str]]:
    """Return the resources (name, role) to draw large: of those that leak, a count and a memory.

    ``entries`` are resource verdicts. Without a leak, resident memory of the main process.
    """
    leaking = sorted(
        {(e.name, e.role) for e in entries if e.verdict == "leak"},
        key=lambda key: (resources.importance(key[0]), key),
    )
    found: list[tuple[str, str]] = []
    for memory in (False, True):
        group = [
            key
            for key in leaking
            if resources.is_memory(key[0]) == memory and not key[0].startswith("gauge:")
        ]
        found += group[:1]
    return found or [("rss_bytes", "main")]


def headline(runs: Sequence[Sequence[Any]]) -> tuple[str, str] | None:
    """Return the one resource to show several runs by: what the first that leaks leaks.

    ``runs`` are the resource verdicts of each run, the most telling run first. Where none leaks,
    the exact heap if it was measured; None where nothing was.
    """
    for entries in runs:
        leaking = [e for e in entries if e.verdict == "leak"]
        if leaking:
            # The heap first where it leaks: it is exact, and a count often follows from it.
            chosen = min(
                leaking, key=lambda e: (e.name != "heap_bytes", resources.importance(e.name))
            )
            return chosen.name, chosen.role
    measured = [e.name for entries in runs for e in entries]
    for name in ("heap_bytes", *measured):
        if name in measured:
            return name, "main"
    return None


def growing_role(entries: Iterable[Any], name: str) -> str:
    """Return the role to show a resource of: one in which it leaks, the main one first."""
    leaking = [e.role for e in entries if e.name == name and e.verdict == "leak"]
    return "main" if "main" in leaking else next(iter(leaking), "main")
