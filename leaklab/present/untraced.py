"""Why the heap of a run, or of its processes of one role, was not traced: one text for all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EXPLAIN = "explain"
_SAID_BEFORE = ("heap not traced: ", "explain pass skipped: ")


def untraced_text(meta: Mapping[str, Any], role: str | None = None) -> str:
    """Return why the heap was not traced; "" where it was, or where nobody asked for it.

    ``role``: of the processes of that role alone.

    >>> untraced_text(run.meta)
    'memray is not installed; add it with: python -m pip install memray'
    """
    passes = [one for one in meta.get("passes") or () if one.get("pass") == EXPLAIN]
    members = [
        one
        for one in meta.get("processes") or ()
        if one.get("pass") == EXPLAIN and (one.get("role") or "main") == role
    ]
    if any(one.get("traced") for one in members or passes):
        return ""
    # What is known of a process of the role comes before what the pass says as a whole.
    notes = [str(one.get("note") or "") for one in members]
    notes = [note for note in notes if note.startswith(_SAID_BEFORE)]
    notes += [str(one["why_untraced"]) for one in passes if one.get("why_untraced")]
    notes += [
        str(event.get("text"))
        for event in meta.get("events") or ()
        if event.get("kind") == "skipped" and event.get("pass") == EXPLAIN
    ]
    if not notes:
        return ""
    for words in _SAID_BEFORE:
        notes[0] = notes[0].removeprefix(words)
    return notes[0]
