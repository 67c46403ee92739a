"""Which resources of a run have a row: not those of hundreds of processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# A script may start hundreds of commands: of so many kinds of process there are rows, and of each
# one that leaks.
SHOWN_ROLE_COUNT = 8


def shown_resources(
    resources: Sequence[Any], meta: Mapping[str, Any] | None = None
) -> tuple[list[Any], str]:
    """Return the resource verdicts to list, and what is said of the others, "" for none.

    ``meta`` is run.json, which knows how many processes have a role.
    """
    roles = _shown_roles(resources)
    hidden = {entry.role for entry in resources} - roles
    others = ""
    if hidden:
        count = _process_count(meta or {}, hidden)
        others = f"and {count:,} more processes, none of which leaks"
    return [entry for entry in resources if entry.role in roles], others


def _shown_roles(resources: Sequence[Any]) -> set[str]:
    """The main process, who leaks, and the largest of the others."""
    leaking = {entry.role for entry in resources if entry.verdict == "leak"}
    sizes = {entry.role: 0.0 for entry in resources}
    sizes |= {entry.role: entry.last for entry in resources if entry.name == "rss_bytes"}
    order = sorted(sizes, key=lambda one: (one != "main", one not in leaking, -sizes[one]))
    return set(order[:SHOWN_ROLE_COUNT]) | leaking


def _process_count(meta: Mapping[str, Any], roles: set[str]) -> int:
    """How many processes of these roles there were, in the pass that saw the most of them."""
    counts: dict[str, int] = {}
    for row in meta.get("processes") or ():
        if (row.get("role") or "main") in roles:
            one = str(row.get("pass"))
            counts[one] = counts.get(one, 0) + int(row.get("process_count") or 1)
    return max(counts.values(), default=len(roles))
