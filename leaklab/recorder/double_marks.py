"""What to say where units of work were ended by the target itself and by what was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

#: the kind of the event in run.json
DOUBLE = "marks counted twice"


def double_text(mark_on: Sequence[str], processes: Iterable[Mapping[str, Any]]) -> str:
    """Return a sentence where processes, by their rows in run.json, had both; "" for none.

    >>> double_text(["http"], [{"marked_by_both": True, "role": "main"}]).partition(":")[0]
    'units of work in main were ended by mark() and by --mark-on http'
    """
    roles = [str(row.get("role")) for row in processes if row.get("marked_by_both")]
    if not roles:
        return ""
    where = ", ".join(dict.fromkeys(roles))
    asked = " and ".join(f"--mark-on {source}" for source in mark_on)
    return (
        f"units of work in {where} were ended by mark() and by {asked}: each of them counts, so "
        "where both end the same unit, figures per unit are too low; leave one of them out"
    )
